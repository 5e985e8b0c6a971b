"""What an operator does to a run that needs a person: one address for each verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from sagas.errors import UnknownSaga
from sagas.operate.access import Right, require
from sagas.operate.compensate import compensate
from sagas.operate.mark import mark
from sagas.operate.resolve import resolve
from sagas.operate.retry import retry
from sagas.operate.skip import skip
from sagas.states import RunStatus
from sagas.views.quota import spend
from sagas.views.runs import run_url

router = Router(tags=["Operators"])


class Because(Schema):
    """Why, and on what one has seen."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=1000, description="kept in the run's log")
    revision: int | None = Field(
        None, description="of the run as it was seen; refused with 409 if it has moved since"
    )


class OfStep(Because):
    """Which step."""

    step: str


class WithResult(OfStep):
    """What the step would have answered."""

    result: Any = Field(None, description="must fit what the step declares")


class Happened(WithResult):
    """Whether it happened."""

    happened: bool


class Done(Schema):
    """How the run stands now."""

    id: UUID
    status: RunStatus
    url: str


@router.post("/runs/{uuid:run_id}/retry", response={202: Done}, operation_id="retry_step")
def retry_step(
    request: HttpRequest, response: HttpResponse, run_id: UUID, asked: OfStep
) -> Status[Done]:
    """Do a step again that gave up, or now what waits for its next try."""
    return _act(request, response, run_id, retry, step=asked.step, **_because(asked))


@router.post("/runs/{uuid:run_id}/skip", response={202: Done}, operation_id="skip_step")
def skip_step(
    request: HttpRequest, response: HttpResponse, run_id: UUID, asked: WithResult
) -> Status[Done]:
    """Go on without a step that gave up."""
    options = {"step": asked.step, "result": asked.result, **_because(asked)}
    return _act(request, response, run_id, skip, **options)


@router.post("/runs/{uuid:run_id}/mark", response={202: Done}, operation_id="mark_step")
def mark_step(
    request: HttpRequest, response: HttpResponse, run_id: UUID, asked: Happened
) -> Status[Done]:
    """Say whether a step happened of which nobody could tell; the reason is the evidence."""
    options = {"step": asked.step, "happened": asked.happened, "result": asked.result}
    return _act(request, response, run_id, mark, **options, **_because(asked))


@router.post("/runs/{uuid:run_id}/compensate", response={202: Done}, operation_id="compensate_run")
def compensate_run(
    request: HttpRequest, response: HttpResponse, run_id: UUID, asked: Because
) -> Status[Done]:
    """Undo what a run did that needs a person; refused with 409 past its pivot."""
    return _act(request, response, run_id, compensate, **_because(asked))


@router.post("/runs/{uuid:run_id}/resolve", response={202: Done}, operation_id="resolve_run")
def resolve_run(
    request: HttpRequest, response: HttpResponse, run_id: UUID, asked: Because
) -> Status[Done]:
    """Close a run that was dealt with elsewhere."""
    return _act(request, response, run_id, resolve, **_because(asked))


def _because(asked: Because) -> dict[str, Any]:
    return {"reason": asked.reason, "revision": asked.revision}


def _act(
    request: HttpRequest,
    response: HttpResponse,
    run_id: UUID,
    verb: Callable[..., RunStatus],
    **options: Any,
) -> Status[Done]:
    require(request.user, Right.CHANGE)
    spend(request.user.pk)
    try:
        status = verb(run_id, by=request.user, **options)
    except UnknownSaga as error:  # the run is there, but the code for it is gone
        raise HttpError(409, str(error)) from None
    url = response["Location"] = run_url(run_id)
    return Status(202, Done(id=run_id, status=status, url=url))

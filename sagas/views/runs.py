"""Runs: start one, look at it, cancel it."""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response
from ninja import Header, Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import Field

from sagas import models
from sagas.define import registry
from sagas.define.title import title
from sagas.define.view import imprint
from sagas.errors import UnknownSaga
from sagas.operate.access import Right, require
from sagas.operate.cancel import Cancel, CancelledBefore
from sagas.operate.catalogue import Answer, carry_out
from sagas.operate.expected import Expected, Next
from sagas.operate.look import Sight, look
from sagas.operate.reason import reason, state_reason
from sagas.operate.undone import state_of, undone_because, undone_steps
from sagas.run.origin import OriginKind, starting
from sagas.run.start import start
from sagas.states import Direction, Halt, RunStatus, StepStatus
from sagas.views.body import read_json
from sagas.views.quota import spend

router = Router(tags=["Runs"])

BusinessKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[ -~]+$",
        description="The business key of the run, such as `order:17`. The same key with the same "
        "payload gives the same run again, with another payload it is refused with 409. Unlike "
        "other services' keys it never expires.",
    ),
]
CancelReason = Annotated[  # so long that it fits into an address, which encodes it
    str, Query(min_length=1, max_length=300, description="why; kept in the audit")
]
_NONE: list[str] = []
_ASKED = "asked for through the API"
Tags = Annotated[list[str], Query(alias="tag", description="words to find the run by")]
_PAYLOAD = {"description": "see the saga for its schema", "type": "object"}


class Receipt(Schema):
    """An accepted run; its address tells how it goes on."""

    id: UUID
    saga: str
    key: str
    created: bool = Field(description="false: the key had started this run before")
    url: str


class CancelReceipt(Schema):
    """A cancel that was accepted; the run turns back at its next step boundary."""

    id: UUID
    status: RunStatus
    approval: int | None = Field(
        description="the request that a second person must consent to before it is done"
    )
    url: str


class StepState(Schema):
    """One step in one direction; a compensation is a step of its own."""

    name: str
    title: str = Field(description="what verbs take as `step`; of a compensation: `undo of NAME`")
    direction: Direction
    status: StepStatus
    state: str = Field(
        description="the status for people; `undone`: it happened, and its compensation did too"
    )
    attempts: int
    in_doubt: bool = Field(description="an attempt may have had its effect")
    error: str = Field(description="why the last attempt that failed did")
    started_at: datetime | None
    finished_at: datetime | None


class Expectation(Schema):
    """One thing that the run waits for."""

    what: Next
    step: str = Field(description="empty: the run itself")
    direction: str
    text: str = Field(description="the same in words")
    at: datetime | None = Field(
        description="not before then, or since then if that has passed; of a signal: until then; "
        "of a hold: when it ends by itself"
    )
    since: datetime | None = Field(
        description="of an attempt, a hold, or a need for a person: when it began"
    )
    signal: str
    correlation: str
    worker: str = Field(description="who carries it out")
    attempt: int = Field(description="which try comes next, or is under way; 0: that tells nothing")
    most: int | None = Field(description="how many tries there are; null: until it works")


class RunOrigin(Schema):
    """What started a run."""

    kind: OriginKind | None = Field(description="null: code of the service itself")
    id: str = Field(description="of a run its id, else who it was")
    root: UUID | None = Field(description="the first run of the chain of runs that led to it")
    depth: int = Field(description="how many runs of that chain came before it")


class RunName(Schema):
    """What a run is, and in which state."""

    id: UUID
    saga: str
    version: int
    key: str
    title: str = Field(
        description="by which people know it, without what is redacted; empty: its saga gives none"
    )
    status: RunStatus


class RunState(RunName):
    """A run, without its payload. Its results have an address of their own."""

    revision: int = Field(description="raised by every move, and by each look of a sweep")
    imprint: str = Field(description="the same while the run stands as it does; verbs take it")
    halt: Halt = Field(description="why the run turns back")
    state_reason: str = Field(description="why it stands where it does; empty once it is over")
    undone: str = Field(description="why it was undone, and how many steps were; empty: it is not")
    attention: str = Field(description="why a person is needed")
    attention_since: datetime | None = Field(description="since when one is; null: none is")
    error_group: str = Field(description="the same for all runs that were stopped by the same")
    owner: str = Field(description="who looks after it")
    tags: list[str]
    origin: RunOrigin
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    steps: list[StepState]
    next: list[Expectation] = Field(description="what happens next; empty once the run is over")


@router.post(
    "/sagas/{name}/runs",
    response={202: Receipt},
    url_name="start",
    operation_id="start_run",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _PAYLOAD}}}
    },
)
def start_run(
    request: HttpRequest, response: HttpResponse, name: str, key: BusinessKey, tag: Tags = _NONE
) -> Status[Receipt]:
    """Start a run of a saga with the payload in the body.

    Repeating the request is safe, whatever became of its answer: it gives the same run.
    """
    require(request.user, Right.START, name)
    spend(request.user.pk)
    saga = registry.get(name)
    text, _ = read_json(request)
    with starting(OriginKind.REQUEST, request.user.get_username()):
        started = start(saga, saga.validated(text), key=key, tags=tag)
    url = response["Location"] = run_url(started.id)
    return Status(
        202,
        Receipt(
            id=started.id, saga=started.saga, key=started.key, created=started.created, url=url
        ),
    )


@router.get("/runs/{uuid:run_id}", response=RunState, url_name="run", operation_id="read_run")
def read_run(request: HttpRequest, response: HttpResponse, run_id: UUID) -> RunState | HttpResponse:
    """How a run stands, and what happens next. Poll it with `If-None-Match`."""
    require(request.user, Right.READ)
    sight = look(run_id)
    require(request.user, Right.READ, sight.run.saga)
    response["ETag"] = etag = _etag(sight)
    answer = get_conditional_response(request, etag=etag, response=response)
    if answer is not None and answer is not response:
        return answer  # 304: it is known already
    return _run_state(sight)


@router.post(
    "/runs/{uuid:run_id}/cancel",
    response={202: CancelReceipt},
    url_name="cancel",
    operation_id="cancel_run",
)
def cancel_run(
    request: HttpRequest, response: HttpResponse, run_id: UUID, reason: CancelReason = _ASKED
) -> Status[CancelReceipt]:
    """Ask a run to undo itself; refused with 409 once it passed its pivot or is over.

    Asking again changes nothing.
    """
    require(request.user, Right.CHANGE)
    spend(request.user.pk)
    answer = _cancelled(request.user, run_id, reason)
    url = response["Location"] = run_url(run_id)
    status = answer.status or RunStatus(look(run_id).run.status)
    return Status(202, CancelReceipt(id=run_id, status=status, approval=answer.approval, url=url))


def _cancelled(user: Any, run_id: UUID, reason: str) -> Answer:
    try:
        return carry_out(run_id, Cancel(), by=user, reason=reason)
    except CancelledBefore:
        return Answer(None)
    except UnknownSaga as error:  # the run is there, but the code for it is gone
        raise HttpError(409, str(error)) from None


def run_url(run_id: UUID) -> str:
    """The address of a run."""
    return reverse("sagas-api:run", args=[run_id])


def _etag(sight: Sight) -> str:
    """Another one whenever the answer is: a hold, or a time that has passed, moves no run."""
    told = repr([reason(one, sight.now) for one in sight.expected])
    return f'W/"{sight.run.revision}-{sha256(told.encode()).hexdigest()[:12]}"'


def _run_state(sight: Sight) -> RunState:
    run, found = sight.run, sight.expected
    undone = undone_steps(sight.steps)
    return RunState(
        id=run.id,
        saga=run.saga,
        version=run.version,
        key=run.business_key,
        title=run.title,
        status=RunStatus(run.status),
        revision=run.revision,
        imprint=imprint(run.status, run.epoch, run.halt, run.owner, sight.steps),
        halt=Halt(run.halt),
        state_reason=state_reason(found, sight.now),
        undone=undone_because(run, sight.steps),
        attention=run.attention,
        attention_since=sight.around.stopped.get(run.pk),
        error_group=run.error_group,
        owner=run.owner,
        tags=run.tags,
        origin=origin_of(run),
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        deadline_at=run.deadline_at,
        steps=[_step_state(step, undone) for step in sight.steps],
        next=[_expectation(one, sight.now) for one in found],
    )


def origin_of(run: models.Run) -> RunOrigin:
    """What started a run."""
    kind = OriginKind(run.origin_kind) if run.origin_kind else None
    return RunOrigin(kind=kind, id=run.origin_id, root=run.root, depth=run.depth)


def _step_state(step: models.Step, undone: Set[str]) -> StepState:
    return StepState(
        name=step.name,
        title=title(step.name, step.direction),
        direction=Direction(step.direction),
        status=StepStatus(step.status),
        state=state_of(step, undone),
        attempts=step.attempt,
        in_doubt=step.in_doubt,
        error=step.error,
        started_at=step.started_at,
        finished_at=step.finished_at,
    )


def _expectation(expected: Expected, now: datetime) -> Expectation:
    return Expectation(
        text=reason(expected, now),
        what=expected.what,
        step=expected.step,
        direction=expected.direction,
        at=expected.at,
        since=expected.since,
        signal=expected.signal,
        correlation=expected.correlation,
        worker=expected.worker,
        attempt=expected.attempt,
        most=expected.most,
    )

"""Reading runs: a list by filters, page by page, and the results of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from ninja.errors import ValidationError
from pydantic import Field

from sagas import models
from sagas.operate import reveal
from sagas.operate.access import Right, require, visible
from sagas.operate.expected import expected_of
from sagas.operate.reading import RunQuery, page_of_runs, results_of
from sagas.operate.reason import state_reason
from sagas.states import Direction, RunStatus
from sagas.views.runs import RunName, RunOrigin, origin_of, run_url

router = Router(tags=["Runs"])
_MOST = 200
_OWN = ("cursor", "limit")  # beside the filters

Cursor = Annotated[
    UUID | None, Query(description="`next` of the page before; without it the first page")
]
Limit = Annotated[int, Query(ge=1, le=_MOST, description="how many runs a page has at most")]


class RunSummary(RunName):
    """A run in a list; its address tells more."""

    state_reason: str = Field(description="why it stands where it does; empty once it is over")
    attention: str = Field(description="why a person is needed")
    owner: str = Field(description="who looks after it")
    tags: list[str]
    origin: RunOrigin
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    url: str


class RunPage(Schema):
    """Some runs, the newest first; by `finished_from` or `finished_to` the last that ended."""

    runs: list[RunSummary]
    next: UUID | None = Field(description="give it as `cursor` for the next page; null: the last")


class AttemptError(Schema):
    """What one attempt of a step said in full."""

    step: str
    direction: Direction
    attempt: int
    at: datetime
    text: str


class RunResults(Schema):
    """What the steps of a run answered."""

    results: dict[str, Any] = Field(
        description="by the step's name, of those that are done; null for one that was skipped. "
        "Redacted fields are marked, unless the user may reveal them"
    )
    errors: list[AttemptError] = Field(
        description="what attempts said in full whose errors are masked elsewhere; empty unless "
        "the user may reveal it"
    )


@router.get("/runs", response=RunPage, url_name="runs", operation_id="list_runs")
def list_runs(
    request: HttpRequest, query: Query[RunQuery], cursor: Cursor = None, limit: Limit = 50
) -> RunPage:
    """The newest runs that fit every filter, of the sagas that the user may see.

    A page stays the same while runs arrive: new ones come before the first page. For those that
    need an operator give `status=needs_attention`; for what ended since yesterday `finished_from`,
    which lists the last that ended first.
    """
    require(request.user, Right.READ)
    _demand_known(request)
    within = visible(request.user, models.Run.objects.all())
    runs, following = page_of_runs(query, within, after=cursor, limit=limit)
    return RunPage(runs=_summaries(runs), next=following)


@router.get(
    "/runs/{uuid:run_id}/results",
    response=RunResults,
    url_name="results",
    operation_id="read_results",
)
def read_results(request: HttpRequest, run_id: UUID) -> RunResults:
    """What the steps of a run answered. Apart from the run, which is polled and stays small."""
    require(request.user, Right.READ)
    run, steps = results_of(run_id)
    require(request.user, Right.READ, run.saga)
    reveals = reveal.revealing(request.user, run.saga, run=run_id)
    shown = {step.name: reveal.result(run, step, step.result, reveal=reveals) for step in steps}
    said = reveal.originals(run_id) if reveals else []
    errors = [AttemptError(**asdict(one)) for one in said]
    return RunResults(results=shown, errors=errors)


def _summaries(runs: Sequence[models.Run]) -> list[RunSummary]:
    if not runs:
        return []
    now: datetime = runs[0].clock  # type: ignore[attr-defined]  # annotated
    found = expected_of(runs, now)
    return [_summary(run, state_reason(found[run.pk], now)) for run in runs]


def _summary(run: models.Run, why: str) -> RunSummary:
    return RunSummary(
        id=run.id,
        saga=run.saga,
        version=run.version,
        key=run.business_key,
        title=run.title,
        status=RunStatus(run.status),
        state_reason=why,
        attention=run.attention,
        owner=run.owner,
        tags=run.tags,
        origin=origin_of(run),
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        url=run_url(run.id),
    )


def _demand_known(request: HttpRequest) -> None:
    """A misspelled filter must not be passed over: that would list all runs."""
    if wrong := list(_unknown(request)):
        raise ValidationError(wrong)


def _unknown(request: HttpRequest) -> Iterator[dict[str, Any]]:
    known = (*RunQuery.model_fields, *_OWN)
    for name in request.GET:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            msg = f"There is no such filter.{hint} Filters are: {', '.join(known)}."
            yield {"loc": ("query", name), "msg": msg}

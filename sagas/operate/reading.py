"""Reading runs: one run by its id or its key, with results and history, and runs page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, overload
from uuid import UUID

from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast, Now
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from sagas import models
from sagas.define.saga import Definition
from sagas.errors import SagaError, UnknownRun
from sagas.operate.look import with_run
from sagas.operate.moments import SLACK, least_id
from sagas.operate.outage import named, standing_at
from sagas.operate.search import matching
from sagas.operate.selection import with_tag
from sagas.states import SETTLED_STEPS, TERMINAL_RUNS, Direction, Halt, RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class StepInfo:
    """One step in one direction; a compensation is a step of its own.

    Attributes:
        attempts: how often a worker took it.
        in_doubt: an attempt may have had its effect.
        error: why the last attempt that failed did.
        document: what it answered, as JSON; None: nothing yet.
    """

    name: str
    direction: Direction
    status: StepStatus
    attempts: int
    in_doubt: bool
    error: str
    document: str | None
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def result(self) -> Any:
        """What it answered, as plain data; None also if it has not."""
        return None if self.document is None else json.loads(self.document)


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One thing that happened to a run. ``step`` is empty where it is the run itself."""

    at: datetime
    step: str
    direction: str
    old: str
    new: str
    attempt: int
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as it stood when it was read.

    Attributes:
        key: the business key that it was started with.
        title: by which people know it, without what is redacted; empty: its saga gives none.
        origin_kind: what started it: ``request``, ``command`` or ``run``; empty: other code.
        origin_id: which of them; of a run its id.
        root: the first run of the chain of runs that led to it ...
        depth: ... and how many runs of that chain came before it.
        halt: why it turns back.
        attention: why an operator must decide; empty: none must.
        steps: forward ones in the order of the saga, then compensations.
    """

    id: UUID
    saga: str
    version: int
    key: str
    title: str
    status: RunStatus
    halt: Halt
    attention: str
    owner: str
    tags: tuple[str, ...]
    origin_kind: str
    origin_id: str
    root: UUID | None
    depth: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    steps: tuple[StepInfo, ...]

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in TERMINAL_RUNS

    @property
    def results(self) -> dict[str, Any]:
        """What the steps that are done answered, by name; None for one that was skipped.

        Plain data as it is stored, not the type that the step declares: so a run can be read
        whatever became of its code.
        """
        forward = (step for step in self.steps if step.direction is Direction.FORWARD)
        return {step.name: step.result for step in forward if step.status in SETTLED_STEPS}

    def history(self) -> list[HistoryEvent]:
        """Everything that happened to it, the oldest first; also what has since this was read."""
        names = ("at", "step", "direction", "old", "new", "attempt", "data")
        rows = models.Event.objects.filter(run_id=self.id).order_by("id").values_list(*names)
        return [HistoryEvent(*row) for row in rows]


@overload
def get_run(run_id: UUID, /) -> RunInfo: ...
@overload
def get_run(*, saga: Definition | str, key: str) -> RunInfo: ...
def get_run(
    run_id: UUID | None = None, /, *, saga: Definition | str | None = None, key: str | None = None
) -> RunInfo:
    """A run with its steps and results, in one statement. Who may read it is the caller's business.

    Results are parsed when they are asked for.

    Args:
        run_id: which one; or instead of it:
        saga: the saga or its name, and
        key: the business key that the run was started with.

    Raises:
        UnknownRun: there is no such run.
    """
    if (run_id is None) == (saga is None) or (saga is None) != (key is None):
        raise SagaError("Say which run: get_run(run_id), or get_run(saga=..., key=...).")
    if run_id is not None:
        return _info(Q(run_id=run_id), f"No run has the id {run_id}.")
    name = saga.name if isinstance(saga, Definition) else saga
    which = Q(run__saga=name, run__business_key=key)
    return _info(which, f"No run of saga {name!r} has the key {key!r}.")


def _written(given: Any) -> Any:
    """A number would be taken for seconds since 1970, or for milliseconds if it is large."""
    try:
        float(given)
    except (TypeError, ValueError):
        return given
    raise ValueError("give a moment as in 2026-11-30T10:00:00Z")


def _tellable(moment: datetime) -> datetime:
    return min(max(moment, _FIRST), _LAST)


# An id can name no other moment, and no time zone overflows there. No run is older or newer.
_FIRST, _LAST = (datetime(year, 1, 2, tzinfo=UTC) for year in (1970, 9000))
Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_tellable)]


class RunQuery(BaseModel):
    """Which runs to list: those that fit all that is given, by default all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    saga: str | None = Field(None, max_length=80, pattern=r"^[^\x00]*$")
    key: str | None = Field(
        None, max_length=200, pattern=r"^[^\x00]*$", description="the whole business key"
    )
    status: list[RunStatus] = Field([], max_length=20, description="any of these")
    q: str | None = Field(
        None,
        max_length=200,
        pattern=r"^[^\x00]*[^\x00\s][^\x00]*$",
        description="what people have at hand, in any case: a number as it is printed (what stands "
        "after a colon in the key), the beginning of a key or of a run's id, or `tag:word`",
    )
    partner: str | None = Field(
        None,
        max_length=80,
        pattern=r"^[^\x00]*$",
        description="the partner whose step's turn it is, or which stopped them",
    )
    tag: str | None = Field(None, max_length=40, pattern=r"^[^\x00]*$")
    created_from: Moment | None = None
    created_to: Moment | None = Field(None, description="before then")
    finished_from: Moment | None = Field(
        None, description="over since then; with this or the next the last that ended come first"
    )
    finished_to: Moment | None = Field(None, description="over before then")

    @property
    def probes(self) -> bool:
        """Whether few may match among many that must be looked at."""
        return self.q is not None or self.partner is not None

    @property
    def by_end(self) -> bool:
        """Whether runs are asked for, and so listed, by when they were over."""
        return self.finished_from is not None or self.finished_to is not None


def page_of_runs(
    query: RunQuery, within: QuerySet[models.Run], *, after: UUID | None, limit: int
) -> tuple[Sequence[models.Run], UUID | None]:
    """Runs that fit, the newest first, without payloads; and where the next page begins.

    Each knows the database's time of reading, as ``clock``.

    By when they were over, the last that ended come first. So pages stay as they are while runs
    arrive and end: what is new is before the first of them.

    Args:
        within: only these: those that the asker may see.
        after: the last run of the page before.

    Returns:
        the runs, and what to give as ``after`` for the next page; None: this was the last one.

    Raises:
        UnknownRun: runs are asked for by when they were over, and ``after`` is gone.
        UnknownPartner: no step names that partner.
        SagaError: too many runs fit.
    """
    order = ("-finished_at", "-id") if query.by_end else ("-id",)
    rows = within.filter(*_conditions(query))
    if query.partner is not None:
        rows = standing_at(rows, named(query.partner))
    if after is not None:
        rows = rows.filter(_ended_before(after, within) if query.by_end else Q(id__lt=after))
    rows = _probed(rows) if query.probes else rows
    lean = rows.defer("payload", "amended").annotate(clock=Now()).order_by(*order)
    found = list(lean[: limit + 1])
    more = len(found) > limit
    return found[:limit], found[limit - 1].id if more else None


def _probed(rows: QuerySet[models.Run]) -> QuerySet[models.Run]:
    """The same runs, found in whatever order suits the database.

    In search of the newest it would read all runs that are newer than those that fit.
    """
    ids = list(rows.order_by().values_list("pk", flat=True)[: MOST + 1])
    if len(ids) > MOST:
        raise SagaError(f"More than {MOST:,} runs fit: give more of the filter.")
    return models.Run.objects.filter(pk__in=ids)


#: So many runs at most may fit what must be looked up.
MOST = 10_000


def results_of(run_id: UUID) -> tuple[models.Run, Sequence[models.Step]]:
    """A run without its payload, and its forward steps that are done, in one statement.

    Raises:
        UnknownRun: there is no such run.
    """
    steps = with_run(models.Step.objects.filter(run_id=run_id), f"No run has the id {run_id}.")
    forward = [step for step in steps if step.direction == Direction.FORWARD]
    return steps[0].run, [step for step in forward if step.status in SETTLED_STEPS]


def _ended_before(run_id: UUID, within: QuerySet[models.Run]) -> Q:
    """What comes after a run by when runs were over; of those at the same moment by their ids."""
    ended = within.filter(pk=run_id).values_list("finished_at", flat=True).first()
    if ended is None:
        raise UnknownRun(f"No run that is over has the id {run_id}: begin with the first page.")
    return Q(finished_at__lte=ended) & (Q(finished_at__lt=ended) | Q(id__lt=run_id))


def _conditions(query: RunQuery) -> list[Q]:
    given = [
        (query.saga is not None, Q(saga=query.saga)),
        (query.key is not None, Q(business_key=query.key)),
        (bool(query.status), Q(status__in=query.status)),
        (query.tag is not None, with_tag(query.tag or "")),
        (query.q is not None, matching((query.q or "").strip())),
    ]
    conditions = [condition for wanted, condition in given if wanted]
    # When a run was created its id tells, which begins with a time.
    if (since := query.created_from) is not None:
        conditions.append(Q(id__gte=least_id(since - SLACK), created_at__gte=since))
    if (until := query.created_to) is not None:
        conditions.append(Q(id__lt=least_id(until + SLACK), created_at__lt=until))
    if query.finished_from is not None:
        conditions.append(Q(finished_at__gte=query.finished_from))
    if (until := query.finished_to) is not None:
        conditions.append(Q(finished_at__lt=until))
    return conditions


def _info(which: Q, absent: str) -> RunInfo:
    rows = models.Step.objects.filter(which).defer("result")
    steps = with_run(rows.annotate(document=Cast("result", TextField())), absent)
    run = steps[0].run
    return RunInfo(
        id=run.id,
        saga=run.saga,
        version=run.version,
        key=run.business_key,
        title=run.title,
        status=RunStatus(run.status),
        halt=Halt(run.halt),
        attention=run.attention,
        owner=run.owner,
        tags=tuple(run.tags),
        origin_kind=run.origin_kind,
        origin_id=run.origin_id,
        root=run.root,
        depth=run.depth,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        deadline_at=run.deadline_at,
        steps=tuple(_step(step) for step in steps),
    )


def _step(step: models.Step) -> StepInfo:
    return StepInfo(
        name=step.name,
        direction=Direction(step.direction),
        status=StepStatus(step.status),
        attempts=step.attempt,
        in_doubt=step.in_doubt,
        error=step.error,
        document=step.document,  # type: ignore[attr-defined]  # annotated
        started_at=step.started_at,
        finished_at=step.finished_at,
    )

"""What a run waits for: computed from its rows, the holds in force and what workers say of
themselves. Pages, lists, command line and API all ask ``expected``; none has a rule of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sagas import models
from sagas.define import registry
from sagas.define.plan import time_limit
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.models import Hold, HoldKind
from sagas.operate import attention
from sagas.operate.held import in_force_on, over, stopping
from sagas.operate.unserved import is_late, unknown_to, unread
from sagas.run.workers import ANYBODY, Workers, living
from sagas.states import (
    CLAIMABLE_STEPS,
    MOVING_RUNS,
    TERMINAL_RUNS,
    Direction,
    RunStatus,
    StepStatus,
    sql_list,
)


class Next(StrEnum):
    """What a run is waiting for."""

    ANSWER = "answer"  # a worker is at it, `since` then
    TRY = "try"  # a worker will take it, not before `at`: from then on it waits for a free one
    RETRY = "retry"  # the same, after a try that failed
    FIND_OUT = "find out"  # it may have happened: it is verified, or repeated with the same key
    SIGNAL = "signal"  # a signal must come; `at` is when its time is up
    TIME = "time"  # it goes on at `at`
    PARTNER = "partner"  # its partner was not asked, for `because`; it may be at `at`
    HOLD = "hold"  # a hold stops it, `since` then; `at` is when that ends by itself
    NOBODY = "nobody"  # it is due since `at`, and no worker that lives can take it, for `because`
    PERSON = "person"  # an operator must decide, `since` then


@dataclass(frozen=True, slots=True)
class Expected:
    """One thing that a run waits for. ``step`` is empty where it is the run itself.

    Attributes:
        attempt: which try it is, or will be; 0: that tells nothing.
        most: how many tries there are; None: until it works, or nobody knows.
    """

    what: Next
    step: str = ""
    direction: str = ""
    at: datetime | None = None
    signal: str = ""
    correlation: str = ""
    because: str = ""
    since: datetime | None = None
    worker: str = ""
    partner: str = ""
    attempt: int = 0
    most: int | None = None
    hold: Hold | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What beside its rows tells what a run waits for.

    Attributes:
        now: the database's time.
        holds: those in force that may cover it.
        workers: those that live; asked for only where something has long been due.
        stopped: since when runs need attention, by their ids.
    """

    now: datetime
    holds: Sequence[Hold] = ()
    workers: Workers = ANYBODY
    stopped: Mapping[UUID, datetime] = field(default_factory=dict)


def around(
    runs: Sequence[models.Run], steps: Mapping[UUID, Sequence[models.Step]], now: datetime
) -> Around:
    """Read it for some runs, in at most three statements; in none if all are over.

    Args:
        steps: by the run's id, those whose turn it is at least.
    """
    unfinished = [run for run in runs if run.status not in TERMINAL_RUNS]
    if not unfinished:
        return Around(now)
    late = any(is_late(run, steps.get(run.pk, ()), now) for run in unfinished)
    workers = living() if late else ANYBODY
    return Around(now, in_force_on(unfinished), workers, attention.since(unfinished))


def expected(
    run: models.Run, steps: Iterable[models.Step], at: Around, saga: Definition | None
) -> list[Expected]:
    """What happens next; several things inside parallel branches, nothing once it is over.

    Args:
        steps: those whose turn it is at least; others are passed over.
        saga: the definition of the run; without it holds on queues and partners are not seen.
    """
    if run.status in TERMINAL_RUNS:
        return []
    if run.status == RunStatus.NEEDS_ATTENTION:
        return [Expected(Next.PERSON, since=at.stopped.get(run.pk))]
    back = run.status == RunStatus.COMPENSATING
    way = Direction.BACKWARD if back else Direction.FORWARD
    turn = [s for s in steps if s.direction == way and s.status in CLAIMABLE_STEPS]
    holds = [hold for hold in over(at.holds, run, turn, saga) if hold.probe != run.pk]
    unknown = unknown_to(at.workers, run) if is_late(run, turn, at.now) else ""
    found = [_expected(run, step, holds, at, saga) for step in turn]
    found = [one for one in found if not (unknown and one.what in _TAKEN)]
    since = min((s.due_at for s in turn if s.due_at is not None), default=run.wake_at)
    return [*_of_run(holds, unknown, since, found), *found]


def declared(run: models.Run) -> Definition | None:
    """The definition of a run's name and version, whether or not the run can go on with it."""
    return registry.find(f"{run.saga}/{run.version}")


def expected_of(runs: Sequence[models.Run], now: datetime) -> dict[UUID, list[Expected]]:
    """What each of some runs waits for, in at most four statements: for a page of a list.

    Of each run at most as many steps side by side are looked at as a line can tell something of.
    """
    steps = _standing_at(runs)
    at = around(runs, steps, now)
    return {run.pk: expected(run, steps.get(run.pk, ()), at, declared(run)) for run in runs}


def foremost(found: Iterable[Expected]) -> Expected | None:
    """What of it says most about why a run stands; None: nothing is expected."""
    return min(found, key=lambda one: _FOREMOST.index(one.what), default=None)


_FOREMOST = (
    *(Next.PERSON, Next.HOLD, Next.NOBODY, Next.FIND_OUT, Next.TRY, Next.RETRY, Next.PARTNER),
    *(Next.SIGNAL, Next.TIME, Next.ANSWER),
)
#: What a worker takes when it is due: so a hold stops it.
_TAKEN = frozenset({Next.TRY, Next.RETRY, Next.FIND_OUT, Next.TIME, Next.PARTNER, Next.NOBODY})


# --- helpers -------------------------------------------------------------------------------


def _standing_at(runs: Iterable[models.Run]) -> dict[UUID, list[models.Step]]:
    """The steps whose turn it is, of runs that go on by themselves, by run: in one statement.

    Of each run so many as a line can tell something of.
    """
    moving = [run.pk for run in runs if run.status in MOVING_RUNS]
    found: dict[UUID, list[models.Step]] = {}
    if moving:
        for step in models.Step.objects.raw(_AT, {"runs": moving, "most": _MOST}):
            found.setdefault(step.run_id, []).append(step)
    return found


_MOST = 20
_AT = f"""
SELECT s.* FROM unnest(%(runs)s::uuid[]) AS given(id) CROSS JOIN LATERAL (
  SELECT id, run_id, name, direction, position, status, attempt, tries, in_doubt, due_at,
    limit_at, worker, signal, correlation, left(error, 200) AS error, started_at
  FROM sagas_step WHERE run_id = given.id AND status IN ({sql_list(CLAIMABLE_STEPS)})
  ORDER BY position LIMIT %(most)s) s"""


def _of_run(
    holds: Sequence[Hold], unknown: str, since: datetime | None, found: Sequence[Expected]
) -> Iterator[Expected]:
    """What is so of the run as a whole: it is held at whatever step, or no worker knows it."""
    if not any(one.what is Next.HOLD for one in found):
        for hold in holds:
            if hold.kind in (HoldKind.RUN, HoldKind.SAGA):
                yield _held(hold)
                break
    if unknown:
        yield Expected(Next.NOBODY, at=since, because=unknown)


def _expected(
    run: models.Run,
    step: models.Step,
    holds: Sequence[Hold],
    at: Around,
    saga: Definition | None,
) -> Expected:
    known = saga.steps.get(step.name) if saga is not None else None
    found = _unhindered(step, known, saga)
    if found.what not in _TAKEN:
        return found
    if (hold := next(stopping(holds, run, known), None)) is not None:
        return _held(hold, step.name, step.direction)
    why = unread(at.workers, step, known, at.now)
    if not why:
        return found
    return Expected(Next.NOBODY, step.name, step.direction, at=step.due_at, because=why)


def _held(hold: Hold, step: str = "", direction: str = "") -> Expected:
    return Expected(
        Next.HOLD,
        step,
        direction,
        at=hold.ends_at,
        because=hold.reason,
        since=hold.placed_at,
        hold=hold,
    )


def _unhindered(step: models.Step, known: Step | None, saga: Definition | None) -> Expected:
    what = _next_of(step)
    attempt, most = _try(what, step, known, saga)
    return Expected(
        what,
        step.name,
        step.direction,
        at=step.due_at,
        signal=step.signal,
        correlation=step.correlation,
        because=step.error if what is Next.PARTNER else "",
        since=_claimed_at(step, known) if what is Next.ANSWER else None,
        worker=step.worker if what is Next.ANSWER else "",
        partner=(known.partner or "") if known is not None and what is Next.PARTNER else "",
        attempt=attempt,
        most=most,
    )


def _next_of(step: models.Step) -> Next:
    match StepStatus(step.status):
        case StepStatus.IN_FLIGHT:
            return Next.ANSWER
        case StepStatus.UNKNOWN:
            return Next.FIND_OUT
        case StepStatus.WAITING if step.signal:
            return Next.SIGNAL
        case StepStatus.WAITING:
            return Next.PARTNER if step.error else Next.TIME  # a wait of its own has no error
    return Next.RETRY if step.tries else Next.TRY


def _try(
    what: Next, step: models.Step, known: Step | None, saga: Definition | None
) -> tuple[int, int | None]:
    """Which try comes next, and how many there are; of what is in flight, which attempt it is."""
    if what is Next.ANSWER:
        return step.attempt, None
    if what is not Next.RETRY:
        return 0, None
    if known is None or saga is None:
        return step.tries + 1, None
    undo = known.compensation if step.direction == Direction.BACKWARD else None
    return step.tries + 1, (undo.retry if undo is not None else saga.retry_of(known)).attempts


def _claimed_at(step: models.Step, known: Step | None) -> datetime | None:
    """When the attempt in flight began; None: nobody can tell."""
    if known is not None and step.limit_at is not None:
        return step.limit_at - timedelta(seconds=time_limit(known, Direction(step.direction)))
    return step.started_at if step.attempt <= 1 else None

"""Phase 6, recover: every worker sends again what the broker lost and what has become due."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from uuid import UUID

from django.db import InterfaceError, OperationalError

from sagas import record, transitions
from sagas.conf import conf
from sagas.define.plan import past_pivot
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.errors import UnknownRun
from sagas.run.depth import depth
from sagas.run.dispatch import definition_of
from sagas.run.queues import default_queue
from sagas.run.send import send, unheld
from sagas.states import ACTIVE_RUNS, Direction, RunStatus, StepStatus

logger = logging.getLogger("sagas.recover")

_OPEN = frozenset({StepStatus.READY, StepStatus.WAITING, StepStatus.UNKNOWN})


def sweep() -> int:
    """Send what is due: retries, timers, lapsed leases, lost messages. Gives how many runs.

    The next look is written before anything is sent: a crash in between costs one more wait,
    never a storm.
    """
    woken = [seen for run_id in transitions.wake(conf().SWEEP_BATCH) if (seen := _seen(run_id))]
    deep = bool(woken) and depth(_queues(woken)) > conf().SWEEP_BATCH
    transitions.look_again((view, next_look(saga, view, deep=deep)) for saga, view in woken)
    sent = 0
    for number, (saga, view) in enumerate(woken):
        if not (rows := claimable(saga, view)):
            continue
        if not send(saga, view, rows):  # the broker is away: it would hold up each in turn
            _try_soon(woken[number:])
            break
        sent += 1
    return sent


def nudge(run_id: UUID) -> bool:
    """Send what one run waits for, if a worker could claim it now."""
    seen = _seen(run_id)
    if seen is None:
        return False
    saga, view = seen
    rows = claimable(saga, view)
    return bool(rows) and send(saga, view, rows)


def next_look(saga: Definition, view: RunView, *, deep: bool = False) -> float | None:
    """Seconds until a sweep must look at a run again if nobody moves it; None: never.

    Args:
        deep: its message is probably not lost but waits in a long queue. Then each copy is given
            twice the time of the one before it: a backlog is not fed with copies of itself.
    """
    if view.over or view.status is RunStatus.NEEDS_ATTENTION:
        return None
    awaiting = [row for row in view.steps.values() if row.awaits]
    free = {row.position for row in unheld(saga, view, awaiting)}
    looks = [(r.free_in, r.position not in free) for r in awaiting if r.free_in is not None]
    if view.deadline is not None and not past_pivot(saga, view):
        looks.append(((view.deadline - view.clock).total_seconds(), bool(awaiting) and not free))
    waits = (_look_in(look, held=held, deep=deep) for look, held in looks)
    return min(waits, default=None)


def claimable(saga: Definition, view: RunView) -> list[StepView]:
    """The rows that a worker could take now; the first that is open if the run is overdue.

    What a hold stops is not among them.
    """
    direction = (
        Direction.BACKWARD if view.status in ACTIVE_RUNS[Direction.BACKWARD] else Direction.FORWARD
    )
    if view.status not in ACTIVE_RUNS[direction]:
        return []
    open_rows = unheld(saga, view, view.rows(direction))
    rows = [row for row in open_rows if row.needs_worker]
    if not rows and view.overdue and direction is Direction.FORWARD:
        return [row for row in open_rows if row.status in _OPEN][:1]
    return rows


def _queues(woken: list[tuple[Definition, RunView]]) -> set[str]:
    """The queues that what is claimable would be sent to."""
    default = default_queue()
    rows = ((saga, row) for saga, view in woken for row in claimable(saga, view))
    return {saga.steps[row.name].queue or default for saga, row in rows}


def _seen(run_id: UUID) -> tuple[Definition, RunView] | None:
    """A run as it stands, with the definition it pins; None if nothing can be sent for it."""
    try:
        view = record.read(run_id)
        saga = definition_of(view)
    except UnknownRun:
        return None
    except (OperationalError, InterfaceError):  # no run is at fault: the database is away
        raise
    except Exception:  # one odd run must not keep the others of this sweep waiting
        logger.exception("Run %s cannot be looked at.", run_id)
        return None
    return None if saga is None else (saga, view)


def _try_soon(woken: Iterable[tuple[Definition, RunView]]) -> None:
    """Look at runs again when the broker may be back, not when a lost message would be resent."""
    waiting = [view for saga, view in woken if claimable(saga, view)]
    for view in waiting:
        view.revision += 1  # by the look that was set before
    soon = min(conf().RESEND_SECONDS, _BROKER_SECONDS)
    transitions.look_again((view, soon * random.uniform(0.5, 1)) for view in waiting)


_BROKER_SECONDS = 5.0


def _look_in(due_in: float, *, held: bool, deep: bool) -> float:
    """Seconds until a sweep must look at what is due in that time.

    Runs that are held may be very many. Lifting the hold wakes them, so the look is for what that
    has missed: it comes late, and later each time.
    """
    if due_in > 0:
        return due_in
    least = conf().HELD_LOOK_SECONDS if held else conf().RESEND_SECONDS
    longer = -due_in if held or deep else 0.0
    return min(max(least, longer), 10 * least) * random.uniform(1, 2)

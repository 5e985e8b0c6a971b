"""Phase 6, recover: every worker sends again what the broker lost and what has become due."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from uuid import UUID

from celery import current_app
from django.db import InterfaceError, OperationalError

from sagas import record, transitions
from sagas.conf import conf
from sagas.define.plan import past_pivot
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.errors import UnknownRun
from sagas.run.depth import depth
from sagas.run.dispatch import definition_of
from sagas.run.send import send
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
        if not (rows := claimable(view)):
            continue
        if not send(saga, view, rows):  # the broker is away: it would hold up each in turn
            _try_soon(view for _, view in woken[number:])
            break
        sent += 1
    return sent


def nudge(run_id: UUID) -> bool:
    """Send what one run waits for, if a worker could claim it now."""
    seen = _seen(run_id)
    if seen is None:
        return False
    saga, view = seen
    rows = claimable(view)
    return bool(rows) and send(saga, view, rows)


def next_look(saga: Definition, view: RunView, *, deep: bool = False) -> float | None:
    """Seconds until a sweep must look at a run again if nobody moves it; None: never.

    Args:
        deep: its message is probably not lost but waits in a long queue. Then each copy is given
            twice the time of the one before it: a backlog is not fed with copies of itself.
    """
    if view.over or view.status is RunStatus.NEEDS_ATTENTION:
        return None
    looks = [row.free_in for row in view.steps.values() if row.awaits and row.free_in is not None]
    if view.deadline is not None and not past_pivot(saga, view):
        looks.append((view.deadline - view.clock).total_seconds())
    waits = (look if look > 0 else _resend_in(-look if deep else 0.0) for look in looks)
    return min(waits, default=None)


def claimable(view: RunView) -> list[StepView]:
    """The rows that a worker could take now; all that are open if the run is overdue."""
    direction = (
        Direction.BACKWARD if view.status in ACTIVE_RUNS[Direction.BACKWARD] else Direction.FORWARD
    )
    if view.status not in ACTIVE_RUNS[direction]:
        return []
    rows = [row for row in view.rows(direction) if row.needs_worker]
    if not rows and view.overdue and direction is Direction.FORWARD:
        return [row for row in view.rows(direction) if row.status in _OPEN][:1]
    return rows


def _queues(woken: list[tuple[Definition, RunView]]) -> set[str]:
    """The queues that what is claimable would be sent to."""
    default = current_app.conf.task_default_queue
    return {saga.steps[row.name].queue or default for saga, v in woken for row in claimable(v)}


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


def _try_soon(views: Iterable[RunView]) -> None:
    """Look at runs again when the broker may be back, not when a lost message would be resent."""
    waiting = [view for view in views if claimable(view)]
    for view in waiting:
        view.revision += 1  # by the look that was set before
    soon = min(conf().RESEND_SECONDS, _BROKER_SECONDS)
    transitions.look_again((view, soon * random.uniform(0.5, 1)) for view in waiting)


_BROKER_SECONDS = 5.0


def _resend_in(overdue: float) -> float:
    least = conf().RESEND_SECONDS
    return min(max(least, overdue), 10 * least) * random.uniform(1, 2)

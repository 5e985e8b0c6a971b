"""Why no worker takes what is due: none that lives knows the run's saga, or reads the queue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sagas.define.step import Step as Declared
from sagas.models import Run, Step
from sagas.run.queues import default_queue
from sagas.run.workers import Workers
from sagas.states import MOVING_RUNS, SCHEDULED_STEPS

#: After that long somebody should ask why no worker takes what is due.
LATE = timedelta(seconds=60)


def is_late(run: Run, steps: Iterable[Step], now: datetime) -> bool:
    """Whether a step of a run that goes on by itself has long been due; without one, the run.

    Then workers should be asked why.
    """
    if run.status not in MOVING_RUNS:
        return False
    due = [at for step in steps if (at := _due(step)) is not None]
    looked = [] if due or run.wake_at is None else [run.wake_at]
    return any(now - at > LATE for at in due + looked)


def unknown_to(workers: Workers, run: Run) -> str:
    """That none of these workers knows the definition that a run pins; empty: one may."""
    if workers.know(run.saga, run.version, run.fingerprint):
        return ""
    if not workers.alive:
        return "No worker is alive."
    return f"No living worker knows version {run.version} of {run.saga!r} as this run pins it."


def unread(workers: Workers, step: Step, known: Declared | None, now: datetime) -> str:
    """That none of these workers reads the queue of a step that has long been due; empty: one may.

    Args:
        known: as the code declares it; None: it does not.
    """
    if known is None or not _late(step, now):
        return ""
    queue = known.queue or default_queue()
    return "" if workers.read(queue) else f"No living worker reads the queue {queue!r}."


def _late(step: Step, now: datetime) -> bool:
    due = _due(step)
    return due is not None and now - due > LATE


def _due(step: Step) -> datetime | None:
    return step.due_at if step.status in SCHEDULED_STEPS else None

"""Waiting for runs that real workers perform."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID

from sagas.models import Run
from sagas.states import TERMINAL_RUNS, RunStatus

_REST = {*TERMINAL_RUNS, RunStatus.NEEDS_ATTENTION}


def at_rest(run_id: UUID, seconds: float = 60) -> Run:
    """The run once it has come to rest; fails with its history if it does not."""
    until(lambda: Run.objects.get(id=run_id).status in _REST, seconds, lambda: history(run_id))
    return Run.objects.get(id=run_id)


def until(
    claim: Callable[[], bool], seconds: float = 60, story: Callable[[], str] = lambda: ""
) -> None:
    """Wait until a claim holds; the limit only ends a test that has failed."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, story() or "it did not come true"
        time.sleep(0.05)


def history(run_id: UUID) -> str:
    """A run's events in lines."""
    events = Run.objects.get(id=run_id).events.all()
    return "\n".join(f"{e.at:%T.%f} {e} {e.direction} {e.worker} {e.data}" for e in events)

"""Retry: do a step again now, with a new budget."""

from __future__ import annotations

from uuid import UUID

from sagas.define import intervene
from sagas.operate.verb import Operator, act
from sagas.states import RunStatus


def retry(
    run_id: UUID, step: str, *, by: Operator, reason: str, revision: int | None = None
) -> RunStatus:
    """Do a step again that gave up, or now what waits for its next try. Raises as ``act``."""
    return act(
        run_id,
        "retry",
        by,
        reason,
        lambda saga, view, worker: intervene.retry(saga, view, step, worker),
        revision=revision,
        of=step,
    )

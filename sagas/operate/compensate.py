"""Compensate: undo a run that stopped before its pivot."""

from __future__ import annotations

from uuid import UUID

from sagas.define import intervene
from sagas.operate.verb import Operator, act
from sagas.states import RunStatus


def compensate(
    run_id: UUID, *, by: Operator, reason: str, revision: int | None = None
) -> RunStatus:
    """Undo what a run did that needs a person. Raises as ``act``."""
    return act(run_id, "compensate", by, reason, intervene.compensate, revision=revision)

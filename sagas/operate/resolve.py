"""Resolve: close a run that a person has dealt with elsewhere."""

from __future__ import annotations

from uuid import UUID

from sagas.define import intervene
from sagas.operate.verb import Operator, act
from sagas.states import RunStatus


def resolve(run_id: UUID, *, by: Operator, reason: str, revision: int | None = None) -> RunStatus:
    """Close a run with a note; nothing more happens to it. Raises as ``act``."""
    return act(
        run_id,
        "resolve",
        by,
        reason,
        lambda saga, view, worker: intervene.resolve(view),
        revision=revision,
    )

"""Skip: go on without a step that gave up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas.define import intervene
from sagas.operate.verb import Operator, act, document
from sagas.states import RunStatus


def skip(
    run_id: UUID,
    step: str,
    *,
    by: Operator,
    reason: str,
    result: Any = None,
    revision: int | None = None,
) -> RunStatus:
    """Go on without a step; later steps see ``result`` in its place. Raises as ``act``, and

    PayloadInvalid: the result does not fit what the step declares.
    """
    return act(
        run_id,
        "skip",
        by,
        reason,
        lambda saga, view, worker: intervene.skip(
            saga, view, step, document(saga, step, result), worker
        ),
        revision=revision,
        of=step,
    )

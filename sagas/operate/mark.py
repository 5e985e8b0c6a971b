"""Mark: say whether a step happened of which nobody could tell."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas.define import intervene
from sagas.operate.verb import Operator, act, document
from sagas.states import RunStatus


def mark(
    run_id: UUID,
    step: str,
    *,
    happened: bool,
    by: Operator,
    reason: str,
    result: Any = None,
    revision: int | None = None,
) -> RunStatus:
    """Settle an open question, with the evidence as the reason. Raises as ``act``, and

    PayloadInvalid: the result does not fit what the step declares.
    """
    return act(
        run_id,
        "mark",
        by,
        reason,
        lambda saga, view, worker: intervene.mark(
            saga, view, step, document(saga, step, result), worker, happened=happened
        ),
        revision=revision,
        of=step,
        happened=happened,
    )

"""Skip: go on without a step that gave up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.outlook import Outlook
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.title import is_undo, plain
from sagas.define.view import RunView
from sagas.operate.verb import Operator, StepVerb, act, document
from sagas.states import RunStatus


class Skip(StepVerb):
    """Go on without a step."""

    name = "skip"
    label = "Skip"
    past = "skipped"
    summary = "Go on without the step, as if it had answered what you say."
    undoing = "Go on without undoing the step: what it did stays."
    foreseen = True

    result: Any = Field(None, description="what later steps see in its place")

    @classmethod
    def confirmed(cls, target: str, outlook: Outlook) -> str:
        if is_undo(target):
            return f"Skip {target}: what {plain(target)} did stays"
        return f"Skip {target} and go on without it"

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        result = document(saga, self.step, self.result)
        return intervene.skip(saga, view, self.step, result, worker)


def skip(
    run_id: UUID, step: str, *, by: Operator, reason: str, result: Any = None, **how: Any
) -> RunStatus:
    """Go on without a step; later steps see ``result`` in its place. Else as ``act``."""
    return act(run_id, Skip(step=step, result=result), by=by, reason=reason, **how)

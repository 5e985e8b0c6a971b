"""Mark: say whether a step happened of which nobody could tell."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from pydantic import Field

from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.title import is_undo
from sagas.define.view import RunView
from sagas.operate.verb import Operator, StepVerb, act, document
from sagas.states import RunStatus


class Mark(StepVerb):
    """Settle an open question."""

    name = "mark"
    label = "Mark"
    past = "marked"
    summary = "Say whether the step happened: you have looked at the partner's side."
    undoing = "Say whether the step was undone: you have looked at the partner's side."

    foreseen = True

    happened: bool
    result: Any = Field(None, description="what it would have answered; only if it happened")

    @classmethod
    def ways(cls, target: str, view: RunView) -> list[tuple[str, Self]]:
        undo = is_undo(target)
        words = {True: "was undone" if undo else "happened"}
        words[False] = "was not undone" if undo else "did not happen"
        return [(f"If it {did}", cls(step=target, happened=yes)) for yes, did in words.items()]

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        result = document(saga, self.step, self.result)
        return intervene.mark(saga, view, self.step, result, worker, happened=self.happened)


def mark(
    run_id: UUID,
    step: str,
    *,
    happened: bool,
    by: Operator,
    reason: str,
    result: Any = None,
    **how: Any,
) -> RunStatus:
    """Settle an open question, with the evidence as the reason. Takes and raises as ``act``."""
    verb = Mark(step=step, happened=happened, result=result)
    return act(run_id, verb, by=by, reason=reason, **how)

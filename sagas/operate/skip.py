"""Skip: go on without a step that gave up."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.operate.verb import Operator, Verb, act, document
from sagas.states import RunStatus


class Skip(Verb):
    """Go on without a step."""

    name = "skip"
    label = "Skip"
    summary = "Go on without the step, as if it had answered what you say."

    step: str
    result: Any = Field(None, description="what later steps see in its place")

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        result = document(saga, self.step, self.result)
        return intervene.skip(saga, view, self.step, result, worker)


def skip(
    run_id: UUID, step: str, *, by: Operator, reason: str, result: Any = None, **how: Any
) -> RunStatus:
    """Go on without a step; later steps see ``result`` in its place. Else as ``act``."""
    return act(run_id, Skip(step=step, result=result), by=by, reason=reason, **how)

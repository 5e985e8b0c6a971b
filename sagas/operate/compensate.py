"""Compensate: undo a run that stopped before its pivot."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.outlook import Outlook
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.operate.verb import Operator, Verb, act, steps
from sagas.states import RunStatus


class Compensate(Verb):
    """Undo what a run did."""

    name = "compensate"
    label = "Undo"
    past = "turned back"
    summary = "Undo what was done, in reverse order. For a run that stopped before its pivot."
    foreseen = True

    @classmethod
    def confirmed(cls, target: str, outlook: Outlook) -> str:
        count = outlook.undo.count if outlook.undo is not None else 0
        return f"Undo {steps(count)}" if count else "Turn back: nothing to undo"

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        return intervene.compensate(saga, view, worker)


def compensate(run_id: UUID, *, by: Operator, reason: str, **how: Any) -> RunStatus:
    """Undo what a run did that needs a person. Takes and raises as ``act``."""
    return act(run_id, Compensate(), by=by, reason=reason, **how)

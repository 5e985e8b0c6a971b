"""Resolve: close a run that a person has dealt with elsewhere."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.outlook import Outlook
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.operate.verb import Operator, Verb, act
from sagas.states import RunStatus


class Resolve(Verb):
    """Close a run that was dealt with elsewhere."""

    name = "resolve"
    label = "Resolve"
    past = "resolved"
    summary = "Close the run: it was dealt with elsewhere, and nothing more happens to it."
    foreseen = True
    coded = False  # a run whose code is gone must not stay open for ever

    @classmethod
    def confirmed(cls, target: str, outlook: Outlook) -> str:
        return "Resolve: close the run and undo nothing"

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        return intervene.resolve(view)


def resolve(run_id: UUID, *, by: Operator, reason: str, **how: Any) -> RunStatus:
    """Close a run with a note; nothing more happens to it. Takes and raises as ``act``."""
    return act(run_id, Resolve(), by=by, reason=reason, **how)

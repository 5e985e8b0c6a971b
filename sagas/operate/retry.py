"""Retry: do a step again now, with a new budget, and if need be with other input."""

from __future__ import annotations

import json
from functools import partial
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from sagas import record
from sagas.conf import conf
from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.errors import PayloadInvalid
from sagas.operate.verb import Operator, StepVerb, act
from sagas.run.documents import NotADocument, encode, without_loss
from sagas.run.title import run_title
from sagas.states import RunStatus

CHANGE_INPUT = "change-input"  #: the rule for a retry with another input


class Retry(StepVerb):
    """Do a step again."""

    name = "retry"
    label = "Retry"
    past = "retried"
    summary = "Do the step again now, with a new budget of tries."
    undoing = "Try again now to undo the step, with a new budget of tries."
    final = False

    payload: dict[str, Any] | None = Field(
        None, description="the run's input from now on; null: as it is"
    )

    @property
    def rules(self) -> tuple[str, ...]:
        return super().rules if self.payload is None else (*super().rules, CHANGE_INPUT)

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        if self.payload is None:
            return intervene.retry(saga, view, self.step, worker)
        fit = _fit(saga, self.payload)
        draft = intervene.retry(saga, view, self.step, worker, _document(saga, fit))
        draft.title = run_title(saga, fit)
        return draft

    def told(self, view: RunView) -> dict[str, Any]:
        changed = (
            {}
            if self.payload is None
            else _changed(json.loads(record.complete(view)), self.payload)
        )
        return {"step": self.step} | ({"changed": changed} if changed else {})


def retry(
    run_id: UUID,
    step: str,
    *,
    by: Operator,
    reason: str,
    payload: dict[str, Any] | None = None,
    **how: Any,
) -> RunStatus:
    """Do a step again that gave up, or now what waits for its next try. Else as ``act``.

    Args:
        payload: what the run works on from now on: steps that are done keep what they did.
    """
    return act(run_id, Retry(step=step, payload=payload), by=by, reason=reason, **how)


def _fit(saga: Definition, payload: dict[str, Any]) -> BaseModel:
    return saga.validated(_text(payload), by_name=True)  # as JSON, which is what strict models take


def _document(saga: Definition, fit: BaseModel) -> str:
    try:
        return encode(without_loss(partial(saga.plain, fit)), conf().MAX_DOCUMENT_BYTES)
    except ValueError as error:
        field = error.field if isinstance(error, NotADocument) else ""
        problem = {"field": field, "message": str(error)}
        raise PayloadInvalid(f"saga {saga.name!r}", [problem]) from None


def _text(payload: dict[str, Any]) -> str:
    try:
        return json.dumps(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadInvalid("the run", [{"field": "", "message": str(error)}]) from None


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, list[Any]]:
    """The fields that differ, each as it was and as it is to be."""
    names = sorted({*before, *after})
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

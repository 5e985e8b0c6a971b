"""Restart: go forward again from a step that the operator chooses."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from pydantic import Field

from sagas.define import intervene
from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.operate.verb import Operator, Verb, act
from sagas.states import RunStatus


class Restart(Verb):
    """Go forward again from a step."""

    name = "restart"
    label = "Restart from"
    past = "restarted"
    summary = "Do this step and those after it once more, with new keys."

    foreseen = True

    step: str
    again: bool = Field(
        False, description="also repeat steps that happened: their effects happen once more"
    )

    @classmethod
    def ways(cls, target: str, view: RunView) -> list[tuple[str, Self]]:
        if not target:  # it is still to be chosen
            return []
        words = {True: "what happened is repeated", False: "nothing that happened is repeated"}
        return [(f"From {target}, and {w}", cls(step=target, again=a)) for a, w in words.items()]

    def draft(self, saga: Definition | None, view: RunView, worker: Worker) -> Draft:
        assert saga is not None, "it is coded"
        return intervene.restart(saga, view, self.step, worker, again=self.again)


def restart(
    run_id: UUID, step: str, *, by: Operator, reason: str, again: bool = False, **how: Any
) -> RunStatus:
    """Do a step and those after it once more. Takes and raises as ``act``.

    Args:
        again: repeat those that happened too; their first effects are yours to deal with.
    """
    return act(run_id, Restart(step=step, again=again), by=by, reason=reason, **how)

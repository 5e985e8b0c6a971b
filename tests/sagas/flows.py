"""Small sagas for tests of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from sagas.api import Refused, Run, Step, pivot, step
from sagas.define.saga import Definition, Node


class Payload(BaseModel):
    """``refuse`` names a step that must refuse."""

    number: int = 0
    refuse: str = ""


def simple(name: str, **options: Any) -> Step:
    """A step that does nothing, and can be undone unless it is harmless."""
    undo = options.pop("undo", {})

    @step(name=name, **options)
    def action(run: Run[Payload]) -> Any:
        return Refused("told to") if run.payload.refuse == name else None

    if not options.get("harmless"):

        @action.compensate(**undo)
        def compensation(run: Run[Payload]) -> None:
            return None

    return action


def verified(name: str, **options: Any) -> Step:
    """As ``simple``, with a verify that cannot tell anything by itself."""
    action = simple(name, **options)
    action.verify(lambda run: None)
    return action


def flow(steps: Sequence[Node | str], name: str = "flow", **options: Any) -> Definition:
    """A definition that is not registered; a string stands for a simple step."""
    nodes = [simple(node) if isinstance(node, str) else node for node in steps]
    return Definition(name, payload=Payload, steps=nodes, **options)


__all__ = ["Payload", "flow", "pivot", "simple", "verified"]

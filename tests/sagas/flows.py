"""Small sagas for tests of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from sagas.api import Refused, Run, Step, parallel, pivot, step
from sagas.define.saga import Definition, Node, Parallel


class Payload(BaseModel):
    """``refuse`` names a step that must refuse."""

    number: int = 0
    refuse: str = ""


def simple(name: str, **options: Any) -> Step:
    """A step that does nothing, and can be undone unless it is harmless."""
    undo = options.pop("undo", {})
    asking = {key: options.pop(key) for key in ("verify_retry",) if key in options}

    @step(name=name, **options)
    def action(run: Run[Payload]) -> Any:
        return Refused("told to") if run.payload.refuse == name else None

    if not options.get("harmless"):

        @action.compensate(**undo)
        def compensation(run: Run[Payload]) -> None:
            return None

    return replace(action, **asking) if asking else action


def verified(name: str, **options: Any) -> Step:
    """As ``simple``, with a verify that cannot tell anything by itself."""
    action = simple(name, **options)
    action.verify(lambda run: None)
    return action


def fork(*branches: Node | str | Sequence[Node | str]) -> Parallel:
    """Parallel branches; a string stands for a simple step."""
    return parallel(*(_nodes([b] if isinstance(b, str | Node) else b) for b in branches))


def flow(steps: Sequence[Node | str], name: str = "flow", **options: Any) -> Definition:
    """A definition that is not registered; a string stands for a simple step."""
    return Definition(name, payload=Payload, steps=_nodes(steps), **options)


def _nodes(nodes: Sequence[Node | str]) -> list[Node]:
    return [simple(node) if isinstance(node, str) else node for node in nodes]


__all__ = ["Payload", "flow", "fork", "pivot", "simple", "verified"]

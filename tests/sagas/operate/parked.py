"""Runs that stopped until a person decides, and the person."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas.define.outcome import Refused, Unknown
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, lapse, states, status


class Person:
    """An operator, who may or may not."""

    def __init__(self, name: str = "ann", *, may: bool = True) -> None:
        self._name, self._may = name, may

    def has_perm(self, perm: str) -> bool:
        return self._may

    def get_username(self) -> str:
        return self._name


ANN = Person()
WHY: dict[str, Any] = {"by": ANN, "reason": "ticket 7"}


def delivered(post: Post) -> None:
    while post.deliver():
        pass


def settled(post: Post, run_id: UUID) -> None:
    """Let time pass and workers work until nothing is left to do."""
    for _ in range(20):
        delivered(post)
        lapse(run_id)
        if not sweep():
            return
    raise AssertionError("it does not come to rest")


def stopped_past_the_pivot(known: Known, actor: Actor) -> UUID:
    """A run whose step after the pivot was refused."""
    actor.answers["do b"] = Refused("no stock")
    run_id = begun(known(flow([pivot(actor.step("p")), *actor.steps("bc")])))
    carried(run_id, "p")
    assert (status(run_id), states(run_id)["b"]) == ("needs_attention", "failed")
    return run_id


def stopped_in_doubt(known: Known, actor: Actor) -> UUID:
    """A run of which nobody knows whether its second step happened."""
    actor.answers["do b"] = Unknown("reset")
    steps = [actor.step("a"), actor.step("b", idempotent=False), actor.step("c")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "a")
    assert (status(run_id), states(run_id)["b"]) == ("needs_attention", "unknown")
    return run_id


def stopped_undoing(known: Known, actor: Actor) -> UUID:
    """A run that turned back, and of which a compensation was refused."""
    actor.answers |= {"do c": Refused("no"), "undo b": Refused("too late")}
    run_id = begun(known(flow(actor.steps("abc"))))
    carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    return run_id

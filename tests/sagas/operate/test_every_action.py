"""Every small run that one or two things block, and every action that an operator is offered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from sagas import record
from sagas.define import registry
from sagas.define.blockers import blockers
from sagas.define.outcome import Refused, Unknown
from sagas.define.saga import Definition
from sagas.operate.catalogue import verb_of
from sagas.operate.offer import offers
from sagas.operate.verb import act
from sagas.run.dispatch import claim
from sagas.run.recover import sweep
from sagas.testing.liveness import stranded_runs
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.operate.parked import WHY
from tests.sagas.stage import (
    BACKWARD,
    FORWARD,
    Actor,
    Known,
    begun,
    carried,
    lapse,
    message,
    status,
)

pytestmark = pytest.mark.django_db

FATES: dict[str, Any] = {"fine": None, "refused": Refused("no"), "unknown": Unknown("reset")}
Shape = Callable[[Actor, dict[str, Any], dict[str, Any]], Definition]


def after_the_pivot(actor: Actor, b: dict[str, Any], c: dict[str, Any]) -> Definition:
    branches = fork(actor.step("b", **b), actor.step("c", **c))
    return flow([pivot(actor.step("a")), branches, actor.step("d")])


def before_the_pivot(actor: Actor, b: dict[str, Any], c: dict[str, Any]) -> Definition:
    branches = fork(actor.step("b", **b), actor.step("c", **c))
    return flow([actor.step("a"), branches, pivot(actor.step("d"))])


def undoing(actor: Actor, b: dict[str, Any], c: dict[str, Any]) -> Definition:
    actor.answers["do d"] = Refused("no")
    branches = fork(actor.step("b", **b), actor.step("c", **c))
    return flow([actor.step("a"), branches, actor.step("d")])


def optional_first(actor: Actor, b: dict[str, Any], c: dict[str, Any]) -> Definition:
    steps = [pivot(actor.step("a")), actor.step("b", optional=True, **b), actor.step("c", **c)]
    return flow(steps)


SHAPES: list[Shape] = [after_the_pivot, before_the_pivot, undoing, optional_first]


def stopped(known: Known, actor: Actor, post: Post, shape: Shape, b: str, c: str) -> UUID:
    """A run of that shape, brought as far as it goes while its partners answer b and c so."""
    options = {"idempotent": False} if shape is not undoing else {}
    saga = known(shape(actor, options, options))
    call = "undo" if shape is undoing else "do"
    actor.answers[f"{call} c"] = FATES.get(c)

    def both(run: Any) -> Any:
        """c answers while b is in flight; or the worker that has it dies."""
        epoch = record.read(run.id).epoch
        way = BACKWARD if shape is undoing else FORWARD
        if shape is not optional_first:
            (claimed if c == "lost" else carried)(run.id, "c", way=way, epoch=epoch)
        return FATES[b]

    def claimed(run_id: UUID, step: str, **where: Any) -> None:
        assert claim(message(run_id, step, **where)) is not None

    actor.answers[f"{call} b"] = both
    run_id = begun(saga)
    worked(post, run_id)
    return run_id


def worked(post: Post, run_id: UUID) -> None:
    """Let workers and sweeps do what they can, and look at the run after each message."""
    for _ in range(30):
        while post.deliver():
            assert stranded_runs() == []
        lapse(run_id)
        if not sweep():
            return
    raise AssertionError("it does not come to rest")


def offered(run_id: UUID) -> Iterator[tuple[str, dict[str, Any]]]:
    for offer in offers(record.read(run_id)):
        if offer.refusal or offer.verb.name in ("assign", "resolve"):
            continue
        told: dict[str, Any] = {"step": offer.step} if offer.step else {}
        if offer.verb.name == "mark":
            yield "mark", {**told, "happened": True}
            yield "mark", {**told, "happened": False}
        else:
            yield offer.verb.name, told | ({"again": True} if offer.verb.name == "restart" else {})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@pytest.mark.parametrize(("b", "c"), list(product(FATES, [*FATES, "lost"])))
def test_whatever_is_done_to_a_blocked_run_it_moves_or_needs_attention_again(
    known: Known, actor: Actor, post: Post, shape: Shape, b: str, c: str
) -> None:
    run_id = stopped(known, actor, post, shape, b, c)
    assert stranded_runs() == []
    if status(run_id) != "needs_attention":
        return
    view = record.read(run_id)
    saga = registry.get("flow")
    assert blockers(saga, view)
    assert not any(row.lost for row in view.steps.values())
    before = dict(actor.answers)
    for mended in (True, False):
        for name, told in list(offered(run_id)):
            with transaction.atomic():
                post.drop_all()
                actor.answers.clear()
                if not mended:
                    actor.answers.update(before)
                act(run_id, verb_of(name, told), **WHY)
                assert stranded_runs() == [], (name, told)
                worked(post, run_id)
                assert stranded_runs() == [], (name, told)
                assert _accounted_for(saga, run_id), (name, told, status(run_id))
                transaction.set_rollback(True)


def _accounted_for(saga: Definition, run_id: UUID) -> bool:
    """It is over; or it is stopped, and what stopped it is known; or a person has paused it."""
    view = record.read(run_id)
    if view.over or f"run:{run_id}" in view.holds:
        return True
    return status(run_id) == "needs_attention" and bool(blockers(saga, view))

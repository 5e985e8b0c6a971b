from __future__ import annotations

from collections.abc import Callable

import pytest

from sagas.define.saga import Definition
from sagas.models import Hold, Run
from sagas.operate.held import held
from sagas.run.queues import default_queue
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago

pytestmark = pytest.mark.django_db


def place(kind: str, target: str, **values: object) -> None:
    Hold.objects.create(kind=kind, target=target, reason="why", placed_by="ann", **values)


def keys() -> list[str]:
    return sorted(held(Run.objects.all()).values_list("business_key", flat=True))


def test_without_a_hold_nothing_is_held() -> None:
    a_run()
    assert keys() == []


def test_a_hold_on_a_run_or_a_saga_covers_what_is_not_over() -> None:
    place("run", str(a_run("one").pk))
    place("saga", "other")
    place("run", "no id at all")
    a_run("free")
    a_run("of the saga", saga="other")
    a_run("parked", "needs_attention", saga="other")
    a_run("over", "succeeded", saga="other")
    assert keys() == ["of the saga", "one", "parked"]


@pytest.mark.parametrize(
    ("kind", "target"), [("queue", "slow"), ("queue", "default"), ("partner", "bank")]
)
def test_a_hold_on_a_queue_or_a_partner_covers_runs_at_its_steps(
    known: Callable[[Definition], Definition], kind: str, target: str
) -> None:
    steps = [simple("a", queue="slow"), simple("b"), simple("c", queue="slow", partner="bank")]
    known(flow(steps))
    place(kind, default_queue() if target == "default" else target)
    for name in "abc":
        a_step(a_run(f"at {name}"), name=name)
        a_step(a_run(f"past {name}"), "succeeded", name=name)
        a_step(a_run(f"other version, at {name}", version=2), name=name)
    expected = {"slow": ["at a", "at c"], "default": ["at b"], "bank": ["at c"]}
    assert keys() == expected[target]


def test_a_hold_that_was_lifted_covers_nothing() -> None:
    place("saga", "flow", lifted_at=ago(seconds=1), lifted_by="ann")
    a_run()
    assert keys() == []


def test_the_run_that_a_hold_lets_through_is_not_held_by_it(
    known: Callable[[Definition], Definition],
) -> None:
    known(flow([simple("a", partner="bank")]))
    through, other = a_run("through"), a_run("other")
    for run in (through, other):
        a_step(run)
    place("partner", "bank", source="circuit-breaker", probe=through.pk)
    assert keys() == ["other"]
    place("partner", "bank")
    assert keys() == ["other", "through"]

from __future__ import annotations

from collections.abc import Callable

import pytest

from sagas.define.saga import Definition
from sagas.models import HoldKind
from sagas.operate import standing as module
from sagas.operate.standing import standing
from sagas.run.queues import default_queue
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago

pytestmark = pytest.mark.django_db
Known = Callable[[Definition], Definition]
NOW = {"seconds": 1}


def test_steps_that_a_worker_could_take_are_counted_by_queue_and_partner(known: Known) -> None:
    known(flow([simple("a", queue="slow", partner="bank"), simple("b", partner="bank")]))
    for number, (name, status, due) in enumerate(
        [("a", "ready", 5), ("a", "unknown", 9), ("a", "ready", -60), ("b", "waiting", 5)]
    ):
        run = a_run(str(number), wake_at=ago(**NOW))
        a_step(run, status, name=name, due_at=ago(seconds=due))
    at = standing(None)
    assert at.runs == 4
    assert at.due_of(HoldKind.QUEUE, "slow") == 2
    assert at.due_of(HoldKind.QUEUE, default_queue()) == 1
    assert at.due_of(HoldKind.PARTNER, "bank") == 3
    assert at.due_of(HoldKind.PARTNER, "nobody") == 0


def test_steps_in_flight_are_counted_by_worker() -> None:
    for number, worker in enumerate(("one", "one", "two")):
        run = a_run(str(number), wake_at=ago(**NOW))
        a_step(run, "in_flight", attempt=1, limit_at=ago(seconds=-60), worker=worker)
    at = standing(None)
    assert at.flying == {"one": 2, "two": 1}
    assert list(at.waiting()) == []


def test_a_step_that_the_code_does_not_know_waits_in_no_queue() -> None:
    a_step(a_run(wake_at=ago(**NOW)), due_at=ago(**NOW))
    at = standing(None)
    assert len(at.groups) == 1
    assert list(at.waiting()) == []


def test_the_runs_that_are_looked_at_soonest_are_counted_and_no_more(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(flow([simple("a")]))
    for number in range(3):
        a_step(a_run(str(number), wake_at=ago(seconds=number)), due_at=ago(minutes=number))
    monkeypatch.setattr(module, "LOOKED", 2)
    at = standing(None)
    assert (at.runs, at.capped) == (2, True)
    assert at.due_of(HoldKind.QUEUE, default_queue()) == 2
    assert min(g.oldest for g in at.groups if g.oldest) < ago(seconds=90)


def test_only_sagas_that_one_may_see_are_counted() -> None:
    a_step(a_run(saga="other", wake_at=ago(**NOW)), due_at=ago(**NOW))
    assert standing({"flow"}).runs == 0
    assert standing({"other"}).runs == 1

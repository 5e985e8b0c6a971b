"""What the planner or a definition raises in a worker is counted, and ends with an operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import OperationalError

from sagas.conf import conf
from sagas.define import plan
from sagas.define.outcome import Refused, RetryLater
from sagas.define.saga import Definition
from sagas.operate.retry import retry
from sagas.run import recover
from sagas.run.recover import nudge, sweep
from sagas.testing.liveness import stranded_runs
from sagas.testing.post import Post
from tests.sagas.flows import flow, pivot
from tests.sagas.operate.parked import WHY, delivered
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    begun,
    carried,
    lapse,
    row,
    run_of,
    states,
    status,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def actor(post: Post) -> Actor:
    return Actor()


def broken(saga: Definition, name: str, **values: Any) -> None:
    """Give a step what its decorator would refuse."""
    for field, value in values.items():
        object.__setattr__(saga.steps[name], field, value)


def worked_until_it_stops(post: Post, run_id: UUID) -> int:
    """Let workers and sweeps do what they can. Gives how many messages it took."""
    before = post.count()
    for _ in range(50):
        delivered(post)
        lapse(run_id)
        if not sweep():
            return post.count() - before
    raise AssertionError("it does not come to rest")


def test_what_a_retry_budget_raises_stops_the_run_after_some_attempts(
    known: Known, actor: Actor, post: Post
) -> None:
    """What ``@step(retry=5)`` did: the outcome of every attempt was lost, and it began anew."""
    saga = known(flow([pivot(actor.step("p")), actor.step("b")]))
    actor.answers["do b"] = RetryLater("busy")
    broken(saga, "b", retry=5)
    run_id = begun(saga)
    messages = worked_until_it_stops(post, run_id)
    assert status(run_id) == "needs_attention"
    assert "attribute error: 'int' object has no attribute" in run_of(run_id).attention
    assert run_of(run_id).attention.startswith("'b' cannot go on")
    assert actor.calls.count("do b") == conf().POISON_ATTEMPTS
    assert messages <= 2 * conf().POISON_ATTEMPTS
    assert stranded_runs() == []


def test_what_is_raised_before_a_claim_stops_the_run_after_some_messages(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("ab")))
    broken(saga, "a", timeout="5")
    run_id = begun(saga)
    messages = worked_until_it_stops(post, run_id)
    assert (status(run_id), states(run_id)["a"]) == ("needs_attention", "failed")
    assert "raised type error: " in run_of(run_id).attention
    assert actor.calls == []
    assert messages <= 2 * conf().POISON_ATTEMPTS


def test_each_exception_puts_the_step_off_for_longer(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("ab")))
    broken(saga, "a", timeout="5")
    run_id = begun(saga)
    waits = []
    for _ in range(3):
        carried(run_id, "a")
        step = row(run_id, "a")
        assert step.due_at is not None
        waits.append(round((step.due_at - run_of(run_id).created_at).total_seconds()))
        assert step.status == "ready"
        lapse(run_id)
    assert waits == sorted(set(waits))


def test_a_run_goes_on_when_its_definition_is_mended_and_the_step_retried(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("ab")))
    broken(saga, "a", timeout="5")
    run_id = begun(saga)
    worked_until_it_stops(post, run_id)
    broken(saga, "a", timeout=5.0)
    retry(run_id, "a", **WHY)
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_step_that_must_not_be_repeated_is_called_once(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow([actor.step("a"), actor.step("b", idempotent=False)]))
    actor.answers["do b"] = RetryLater("busy")
    broken(saga, "b", retry=5)
    run_id = begun(saga)
    worked_until_it_stops(post, run_id)
    assert (status(run_id), states(run_id)["b"]) == ("needs_attention", "unknown")
    assert actor.calls.count("do b") == 1


def test_a_compensation_that_cannot_be_planned_stops_the_run(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("ab")))
    assert saga.steps["a"].compensation is not None
    object.__setattr__(saga.steps["a"].compensation, "retry", 5)
    actor.answers |= {"do b": Refused("no"), "undo a": RetryLater("busy")}
    run_id = begun(saga)
    worked_until_it_stops(post, run_id)
    assert (status(run_id), states(run_id, BACKWARD)["a"]) == ("needs_attention", "unknown")
    assert actor.calls.count("undo a") == conf().POISON_ATTEMPTS


@pytest.mark.parametrize("entry", ["claim", "settle"])
def test_an_exception_that_passes_costs_a_try_and_no_run(
    known: Known, actor: Actor, post: Post, entry: str
) -> None:
    run_id = begun(known(flow(actor.steps("abc"))))
    real: Callable[..., Any] = getattr(plan, entry)
    raised: list[bool] = []

    def once(*args: Any, **options: Any) -> Any:
        if not raised:
            raised.append(True)
            raise MemoryError("for once")
        return real(*args, **options)

    with patch.object(plan, entry, once), patch("sagas.transitions.take_first", lambda *_: None):
        worked_until_it_stops(post, run_id)
    assert raised
    assert status(run_id) == "succeeded"
    assert row(run_id, "a").losses == 0


def test_a_database_that_is_away_is_counted_for_no_step(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    away = OperationalError("away")
    with (
        patch("sagas.run.dispatch.insist", side_effect=away),
        pytest.raises(OperationalError),
    ):
        carried(run_id, "a")
    assert row(run_id, "a").losses == 0


def test_an_exception_that_cannot_be_counted_fails_no_message(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("ab")))
    broken(saga, "a", timeout="5")
    run_id = begun(saga)
    with patch.object(plan, "fault", side_effect=ValueError("that too")):
        carried(run_id, "a")
    assert states(run_id)["a"] == "ready"


def test_an_errback_sends_only_what_became_due_a_moment_ago(
    known: Known, actor: Actor, post: Post
) -> None:
    """Else a message that always fails, as of newer code, would be sent for ever, at once."""
    run_id = begun(known(flow(actor.steps("ab"))))
    with patch.object(recover, "_FRESH_SECONDS", 60.0):
        assert nudge(run_id, failed=True)
    lapse(run_id, 61)
    with patch.object(recover, "_FRESH_SECONDS", 60.0):
        assert not nudge(run_id, failed=True)
    assert nudge(run_id)

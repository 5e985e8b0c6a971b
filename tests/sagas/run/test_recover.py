"""Recovery: what was lost is sent again, what lapsed is taken over, what lives is renewed."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from sagas import db
from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.outcome import Refused, RetryLater, Unknown, Wait
from sagas.identity import identity
from sagas.models import Run, Step
from sagas.run.recover import nudge, renew, sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.stage import (
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    row,
    run_of,
    states,
    status,
    told,
)

pytestmark = pytest.mark.django_db
_SECOND = timedelta(seconds=1)


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def died(run_id: UUID, step: str) -> None:
    """A worker claims a step and dies."""
    with patch("sagas.run.dispatch.attempt", return_value=None):
        carried(run_id, step)


def settled(post: Post, run_id: UUID, rounds: int = 60) -> None:
    """Let time pass and workers work until nothing is left to do."""
    for _ in range(rounds):
        lapse(run_id)
        if not sweep():
            return
        while post.deliver():
            pass
    raise AssertionError("it does not come to rest")


# --- sweeping ------------------------------------------------------------------------------


def test_a_lost_first_message_is_sent_again(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert sweep() == 0  # its first message may still be on its way
    lapse(run_id)
    assert (sweep(), post.count()) == (1, 1)
    assert post.deliver()
    assert status(run_id) == "succeeded"


def test_a_message_is_sent_again_once_in_its_interval(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    with override_settings(SAGAS={"RESEND_SECONDS": 100}):
        assert [sweep() for _ in range(5)] == [1, 0, 0, 0, 0]
    wake = row(run_id, "a").wake_at
    assert wake is not None
    assert 99 * _SECOND < wake - timezone.now() < 201 * _SECOND


@pytest.mark.django_db(transaction=True)
def test_four_sweepers_at_the_same_moment_send_every_lost_message_once(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow([fork(*actor.steps("ab"))]))
    runs = [begun(saga) for _ in range(25)]
    post.drop_all()
    sent = post.count()
    for run_id in runs:
        lapse(run_id)
    for _ in range(3):
        assert not [e for e in at_once(sweep, sweep, sweep, sweep) if isinstance(e, Exception)]
    assert post.count() - sent == 2 * len(runs)


def test_a_sweep_takes_a_batch_at_a_time_the_oldest_first(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(5)]
    for age, run_id in enumerate(runs):
        lapse(run_id)
        Step.objects.filter(run_id=run_id).update(wake_at=F("wake_at") - age * _SECOND)
    with override_settings(SAGAS={"SWEEP_BATCH": 2}):
        sent = [sweep()]
        while post.deliver():
            pass
        done = {run.pk for run in Run.objects.filter(status="succeeded")}
        sent += [sweep(), sweep(), sweep()]
    assert sent == [2, 2, 1, 0]
    assert done == set(runs[-2:])


def test_a_sweep_gets_past_a_run_that_cannot_be_looked_at(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(3)]
    for run_id in runs:
        lapse(run_id)
    looked: list[UUID] = []

    def look(run_id: UUID) -> bool:
        looked.append(run_id)
        if len(looked) == 1:
            raise ValueError("odd")
        return nudge(run_id)

    with patch("sagas.run.recover.nudge", look):
        assert sweep() == 2
    assert sorted(looked) == sorted(runs)


def test_a_retry_is_sent_when_it_is_due_and_not_before(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = RetryLater("busy", 20.0)
    run_id = begun(known(flow([actor.step("a", retry=Retry(attempts=2))])))
    carried(run_id, "a")
    assert sweep() == 0
    assert carried(run_id, "a") == []
    assert actor.calls == ["do a"]
    lapse(run_id)
    assert sweep() == 1
    assert post.deliver()
    assert actor.calls == ["do a", "do a"]


def test_a_wait_is_ended_by_the_sweep(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do a"] = lambda run: Wait(20.0) if run.attempt == 1 else None
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    assert (states(run_id)["a"], sweep()) == ("waiting", 0)
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_lapsed_lease_is_taken_over(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    died(run_id, "a")
    assert sweep() == 0
    settled(post, run_id)
    assert row(run_id, "a").attempt == 2
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_a_lost_compensation_is_taken_over(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    carried(run_id, "b")
    settled(post, run_id)
    assert actor.calls == ["do a", "do b", "undo a"]
    assert status(run_id) == "compensated"


def test_all_branches_that_were_lost_are_sent(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow([fork(*actor.steps("abc"))])))
    lapse(run_id)
    sweep()
    assert post.count() == 3
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_deadline_wakes_a_run_that_waits_for_something_later(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do b"] = Wait(3600.0)
    run_id = begun(known(flow(actor.steps("ab"))), deadline=timedelta(seconds=60))
    carried(run_id, "a")
    waiting = row(run_id, "b")
    assert waiting.wake_at is not None
    assert waiting.wake_at - timezone.now() < 61 * _SECOND
    Run.objects.update(deadline_at=F("created_at"))
    Step.objects.filter(name="b").update(wake_at=F("started_at"))
    assert sweep() == 1
    while post.deliver():
        pass
    assert actor.calls == ["do a", "do b", "undo a"]
    assert (status(run_id), run_of(run_id).halt) == ("compensated", "deadline")


def test_after_the_pivot_a_deadline_wakes_nothing(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Wait(3600.0)
    saga = known(flow([pivot(actor.step("p")), actor.step("b")]))
    run_id = begun(saga, deadline=timedelta(seconds=60))
    carried(run_id, "p")
    wake = row(run_id, "b").wake_at
    assert wake is not None
    assert wake - timezone.now() > 3000 * _SECOND


@pytest.mark.parametrize("ending", ["succeeded", "compensated", "needs_attention"])
def test_nothing_is_sent_for_a_run_that_rests(
    known: Known, actor: Actor, post: Post, ending: str
) -> None:
    if ending != "succeeded":
        actor.answers["do b"] = Refused("no")
    nodes = actor.steps("ab")
    run_id = begun(known(flow([pivot(nodes[0]), nodes[1]] if ending[0] == "n" else nodes)))
    carried(run_id, "a")
    assert status(run_id) == ending
    Step.objects.update(wake_at=timezone.now() - _SECOND)
    assert (sweep(), post.count()) == (0, 0)
    nudge(run_id)
    assert post.count() == 0


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
def test_a_run_whose_definition_is_gone_is_parked_by_the_sweep(known: Known, actor: Actor) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    assert sweep() == 0
    assert status(run_id) == "needs_attention"


def test_a_broker_that_is_away_costs_a_wait_and_nothing_else(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    with patch("sagas.run.send.canvas", side_effect=OSError("no route")):
        assert sweep() == 0
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_sweeping_twice_does_nothing_twice(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do b"] = lambda run: Unknown("reset") if run.attempt < 3 else None
    run_id = begun(known(flow(actor.steps("abc"))))
    for _ in range(8):
        lapse(run_id)
        sweep()
        lapse(run_id)
        sweep()
        while post.deliver(copies=2):
            pass
    assert actor.calls == ["do a", "do b", "do b", "do b", "do c"]
    assert status(run_id) == "succeeded"


def test_a_nudge_for_a_run_that_does_not_exist_does_nothing(post: Post) -> None:
    assert not nudge(uuid4())
    assert post.count() == 0


# --- renewing ------------------------------------------------------------------------------


def flying(run_id: UUID, step: str, **values: object) -> None:
    """A step in flight whose lease runs short."""
    died(run_id, step)
    soon = timezone.now() + 5 * _SECOND
    Step.objects.filter(run_id=run_id, name=step).update(
        **{"wake_at": soon, "lease_until": soon, **values}
    )


def test_the_leases_of_live_attempts_are_renewed(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow([actor.step("a", timeout=1000)])))
    flying(run_id, "a")
    assert renew([os.getpid()]) == 1
    found = row(run_id, "a")
    assert found.lease_until is not None
    assert found.lease_until - timezone.now() > 25 * _SECOND
    assert found.wake_at is not None
    assert found.wake_at - timezone.now() > 25 * _SECOND


def test_a_lease_with_time_left_is_not_touched(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    died(run_id, "a")
    assert renew([os.getpid()]) == 0


@pytest.mark.parametrize("pids", [[], [1], [os.getpid() + 1]])
def test_the_leases_of_processes_that_are_gone_are_not_renewed(
    known: Known, actor: Actor, pids: list[int]
) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    flying(run_id, "a")
    assert renew(pids) == 0


def test_the_leases_of_other_workers_are_not_renewed(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    flying(run_id, "a", worker="another/1-abc")
    assert renew([os.getpid()]) == 0
    assert identity() != "another/1-abc"


def test_no_lease_is_renewed_beyond_the_steps_own_limit(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow([actor.step("a", timeout=3)])))
    flying(run_id, "a")
    assert renew([os.getpid()]) == 1
    found = row(run_id, "a")
    assert found.lease_until == found.limit_at == found.wake_at


def test_an_attempt_beyond_its_limit_is_left_to_lapse(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    flying(run_id, "a", limit_at=timezone.now() - _SECOND)
    assert renew([os.getpid()]) == 0


def test_a_renewed_lease_is_not_taken_over(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    flying(run_id, "a")
    renew([os.getpid()])
    assert (sweep(), carried(run_id, "a"), actor.calls) == (0, [], [])


@pytest.mark.django_db(transaction=True)
def test_renewing_and_taking_over_at_the_same_moment_leave_one_owner(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(15):
        run_id = begun(saga)
        died(run_id, "a")
        lapse(run_id)
        actor.calls.clear()
        outcomes = at_once(partial(renew, [os.getpid()]), partial(carried, run_id, "a"))
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
        found = row(run_id, "a")
        assert (found.attempt, found.status) in {(1, "in_flight"), (2, "succeeded")}
        assert len(actor.calls) == found.attempt - 1


def test_finished_steps_hold_no_lease(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    found = row(run_id, "a")
    assert (found.lease_until, found.limit_at, found.wake_at, found.pid) == (None,) * 4
    assert db.execute("SELECT count(*) FROM sagas_step WHERE wake_at IS NOT NULL") == [(0,)]

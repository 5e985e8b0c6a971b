"""Recovery: what was lost is sent again, what lapsed is taken over, what lives is renewed."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from sagas import record, transitions
from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.outcome import Refused, RetryLater, Unknown, Wait
from sagas.define.view import RunView
from sagas.identity import identity
from sagas.models import Run, Step, Worker
from sagas.run.dispatch import attempt, claim
from sagas.run.recover import nudge, sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.stage import (
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    message,
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
    wake = run_of(run_id).wake_at
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
        Run.objects.filter(id=run_id).update(wake_at=F("wake_at") - age * _SECOND)
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
    read = record.read

    def look(run_id: UUID) -> RunView:
        looked.append(run_id)
        if len(looked) == 1:
            raise ValueError("odd")
        return read(run_id)

    with patch("sagas.run.recover.record.read", look):
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
    assert wake_in(run_id) <= 61
    Run.objects.update(deadline_at=F("created_at"), wake_at=F("created_at"))
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
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert wake_in(run_id) > 3000


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
    Run.objects.update(wake_at=timezone.now() - _SECOND)
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


# --- when it looks -------------------------------------------------------------------------


def wake_in(run_id: UUID) -> float:
    """Seconds until a sweep looks at a run."""
    wake_at = run_of(run_id).wake_at
    assert wake_at is not None
    return (wake_at - timezone.now()).total_seconds()


def test_a_live_attempt_is_looked_at_again_when_its_workers_lease_could_be_over(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow([actor.step("a", timeout=1000)])))
    died(run_id, "a")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert (sweep(), post.count()) == (0, 0)
    assert 20 < wake_in(run_id) <= 30
    assert row(run_id, "a").attempt == 1


def test_a_claim_of_a_run_that_slept_for_long_brings_its_look_forward(
    known: Known, actor: Actor
) -> None:
    """Else a worker lost in it would be missed until then."""
    actor.answers["do a"] = lambda run: Wait(9000.0) if run.attempt == 1 else None
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert wake_in(run_id) > 8000
    Step.objects.update(due_at=timezone.now() - _SECOND)
    died(run_id, "a")
    assert wake_in(run_id) <= 30


def test_a_message_that_may_wait_in_a_long_queue_is_given_twice_the_time(
    known: Known, actor: Actor, post: Post
) -> None:
    """A backlog must not be fed with copies of itself."""
    run_id = begun(known(flow(actor.steps("ab"))))
    for waiting, overdue, least, most in (
        (0, 9000, 30, 60),
        (100, 9000, 30, 60),
        (101, 5, 30, 60),
        (101, 100, 100, 200),
        (101, 9000, 300, 600),
    ):
        past = timezone.now() - overdue * _SECOND
        Step.objects.filter(name="a").update(due_at=past)
        Run.objects.update(wake_at=past, revision=F("revision") + 1)
        with patch("sagas.run.recover.depth", return_value=waiting):
            assert sweep() == 1
        assert least - 2 <= wake_in(run_id) <= most


def test_a_run_that_waits_for_a_signal_only_is_never_looked_at(known: Known, actor: Actor) -> None:
    actor.answers["do a"] = Wait(None, "paid", "order:1")
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert run_of(run_id).wake_at is None


def test_a_sweep_that_looks_at_a_run_makes_its_worker_write_on_what_it_saw(
    known: Known, actor: Actor, post: Post
) -> None:
    """It leaves ``wake_at`` alone if that is early enough: it must know when that has moved."""
    saga = known(flow([actor.step("a", retry=Retry(attempts=2))]))

    def look(run: object) -> RetryLater:
        Run.objects.update(wake_at=timezone.now() - _SECOND)
        assert sweep() == 0
        return RetryLater("busy", 7.0)

    actor.answers["do a"] = look
    run_id = begun(saga)
    carried(run_id, "a")
    assert wake_in(run_id) <= 7


def test_a_finished_run_holds_nothing(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    found = row(run_id, "a")
    assert (found.limit_at, found.due_at, found.pid, found.worker) == (None, None, None, "")
    assert run_of(run_id).wake_at is None


# --- lost workers --------------------------------------------------------------------------


def test_an_attempt_is_its_workers_while_that_worker_beats(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow([actor.step("a", timeout=1000)])))
    died(run_id, "a")
    assert carried(run_id, "a") == []
    assert row(run_id, "a").attempt == 1
    Worker.objects.update(lease_until=timezone.now() - _SECOND)
    with patch("sagas.run.dispatch.heartbeat.ensure"):
        carried(run_id, "a")
    assert row(run_id, "a").attempt == 2


def test_an_attempt_beyond_its_own_limit_is_taken_over_though_its_worker_beats(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    died(run_id, "a")
    Step.objects.update(limit_at=timezone.now() - _SECOND)
    carried(run_id, "a")
    assert row(run_id, "a").attempt == 2


def test_what_a_lost_child_held_is_sent_by_the_next_sweep(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow([actor.step("a", timeout=1000)]))
    lost, live, foreign = begun(saga), begun(saga), begun(saga)
    for run_id in (lost, live, foreign):
        died(run_id, "a")
    Step.objects.filter(run=lost).update(pid=4_000_001)
    Step.objects.filter(run=foreign).update(worker="another", pid=4_000_001)
    post.drop_all()
    assert transitions.free(identity(), [4_000_001]) == 1
    assert sweep() == 1
    assert [row(run_id, "a").attempt for run_id in (lost, live, foreign)] == [1, 1, 1]
    while post.deliver():
        pass
    assert [row(run_id, "a").attempt for run_id in (lost, live, foreign)] == [2, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_freeing_and_answering_at_the_same_moment_leave_one_outcome(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(15):
        run_id = begun(saga)
        given = message(run_id, "a")
        draft = claim(given)
        assert draft is not None
        outcomes = at_once(
            partial(transitions.free, identity(), [os.getpid()]), partial(attempt, given, draft)
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
        assert (status(run_id), row(run_id, "a").attempt) == ("succeeded", 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_find_a_worker_lost_one_takes_its_step_over(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(10):
        run_id = begun(saga)
        died(run_id, "a")
        lapse(run_id)
        actor.calls.clear()
        outcomes = at_once(*[partial(carried, run_id, "a")] * 4)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
        assert (row(run_id, "a").attempt, actor.calls) == (2, ["do a"])


def test_a_database_that_goes_away_ends_the_sweep_and_blames_no_run(
    known: Known, actor: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    lapse(run_id)
    with (
        patch("sagas.run.recover.record.read", side_effect=OperationalError("gone")),
        pytest.raises(OperationalError),
    ):
        sweep()
    assert "cannot be looked at" not in caplog.text
    assert wake_in(run_id) > 0


def test_a_broker_that_is_away_holds_up_one_send_and_the_others_are_tried_soon(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(5)]
    post.drop_all()
    for run_id in runs:
        lapse(run_id)
    with patch("sagas.run.send.canvas", side_effect=OSError("no route")) as tried:
        assert sweep() == 0
    assert tried.call_count == 1
    assert all(wake_in(run_id) <= 5 for run_id in runs)
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 5

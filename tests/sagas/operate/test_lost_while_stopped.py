"""An attempt that dies while its run needs attention: an open question, and every action fits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils import timezone

from sagas import transitions
from sagas.define import registry
from sagas.define.outcome import NotApplied, Refused
from sagas.errors import VerbRefused
from sagas.identity import identity
from sagas.models import Event, Run, Step
from sagas.operate.mark import mark
from sagas.operate.resolve import resolve
from sagas.operate.retry import retry
from sagas.run.dispatch import attempt, claim
from sagas.run.recover import Sweep, sweep
from sagas.testing.liveness import stranded_runs
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.operate.parked import WHY, settled
from tests.sagas.stage import (
    BACKWARD,
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

pytestmark = pytest.mark.django_db(transaction=True)
Answer = Callable[[], object]


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def stopped(known: Known, actor: Actor, **options: Any) -> tuple[UUID, Answer]:
    """A run that stopped because b was refused, while a worker that is dead, or slow, does c.

    Returns:
        the run, and the slow worker's answer.
    """
    taken: list[Answer] = []

    def b(run: Any) -> Any:
        given = message(run.id, "c")
        draft = claim(given)
        assert draft is not None
        taken.append(partial(attempt, given, draft))
        return Refused("no b")

    actor.answers["do b"] = b
    branches = fork(actor.step("b"), actor.step("c", **options))
    run_id = begun(known(flow([pivot(actor.step("p")), branches])))
    carried(run_id, "p")
    assert (status(run_id), states(run_id)["c"]) == ("needs_attention", "in_flight")
    actor.answers.clear()
    actor.calls.clear()
    return run_id, taken[0]


def swept(run_id: UUID) -> None:
    """The lease of whatever is in flight ends, and a sweep looks."""
    lapse(run_id)
    assert sweep() == 0, "nothing is sent for a run that needs attention"


@pytest.mark.parametrize(
    ("options", "stands", "again"),
    [
        ({}, "unknown", True),
        ({"verified": True}, "unknown", True),
        ({"idempotent": False}, "unknown", False),
        ({"atomic": True}, "ready", True),
    ],
    ids=["idempotent", "verified", "not-idempotent", "atomic"],
)
def test_it_is_settled_without_a_call_once_its_lease_is_over(
    known: Known, actor: Actor, options: dict[str, Any], stands: str, again: bool
) -> None:
    run_id, _ = stopped(known, actor, **options)
    tries = row(run_id, "c").tries
    swept(run_id)
    found = row(run_id, "c")
    assert (found.status, found.in_doubt, found.losses) == (stands, stands == "unknown", 1)
    assert (found.tries, found.attempt, found.due_at is not None) == (tries, 1, again)
    assert actor.calls == []
    event = Event.objects.filter(run=run_id, step="c").latest("id")
    assert (event.old, event.new) == ("in_flight", stands)
    assert event.data["reason"] == "the worker was lost before it answered"
    assert (status(run_id), run_of(run_id).wake_at) == ("needs_attention", None)
    assert run_of(run_id).attention == "'b' gave up after the pivot: no b."
    assert told(run_id).problems == []
    assert stranded_runs() == []


def test_it_is_left_in_flight_until_then_and_looked_at_again(known: Known, actor: Actor) -> None:
    run_id, _ = stopped(known, actor, timeout=1000)
    Run.objects.update(wake_at=timezone.now() - timedelta(seconds=1))
    assert sweep() == 0
    assert states(run_id)["c"] == "in_flight"
    wake_at = run_of(run_id).wake_at
    assert wake_at is not None
    assert wake_at > timezone.now()
    assert stranded_runs() == []


def test_it_is_settled_at_once_where_its_parent_has_seen_it_die(known: Known, actor: Actor) -> None:
    run_id, _ = stopped(known, actor, timeout=1000)
    Step.objects.filter(name="c").update(pid=4_000_001)
    assert transitions.free(identity(), [4_000_001]) == 1
    sweep()
    assert states(run_id)["c"] == "unknown"


def test_an_answer_in_time_ends_the_looking(known: Known, actor: Actor) -> None:
    run_id, answer = stopped(known, actor)
    answer()
    swept(run_id)
    assert (states(run_id)["c"], run_of(run_id).wake_at) == ("succeeded", None)


def test_a_run_with_nothing_in_flight_is_looked_at_by_nobody(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no b")
    run_id = begun(known(flow([pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "p")
    assert (status(run_id), run_of(run_id).wake_at) == ("needs_attention", None)


# --- what an operator does about it --------------------------------------------------------


def test_the_run_can_be_closed(known: Known, actor: Actor) -> None:
    run_id, _ = stopped(known, actor)
    with pytest.raises(VerbRefused, match="'c' is in flight and will answer"):
        resolve(run_id, **WHY)
    swept(run_id)
    resolve(run_id, **WHY)
    assert status(run_id) == "resolved"


@pytest.mark.parametrize("how", ["retry", "mark"])
def test_it_is_retried_or_marked_like_any_open_question(
    known: Known, actor: Actor, post: Post, how: str
) -> None:
    run_id, _ = stopped(known, actor, idempotent=False)
    swept(run_id)
    if how == "retry":
        retry(run_id, "c", **WHY)
    else:
        mark(run_id, "c", happened=True, **WHY)
    retry(run_id, "b", **WHY)
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    assert actor.calls.count("do c") == (how == "retry")
    assert told(run_id).problems == []


def test_it_goes_on_by_itself_with_what_blocked_the_run(
    known: Known, actor: Actor, post: Post
) -> None:
    """Verified or repeated with the same key, as an attempt that is lost in an active run."""
    actor.answers["verify c"] = NotApplied()
    run_id, _ = stopped(known, actor, verified=True)
    actor.answers["verify c"] = NotApplied()
    swept(run_id)
    retry(run_id, "b", **WHY)
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    assert sorted(actor.calls) == ["do b", "do c", "verify c"]


def test_a_lost_compensation_is_settled_too(known: Known, actor: Actor, post: Post) -> None:
    def undo_b(run: Any) -> Any:
        assert claim(message(run.id, "c", way=BACKWARD, epoch=2)) is not None
        return Refused("too late")

    actor.answers |= {"do d": Refused("no"), "undo b": undo_b}
    branches = fork(actor.step("b"), actor.step("c"))
    run_id = begun(known(flow([branches, actor.step("d")])))
    for name in "bcd":
        carried(run_id, name)
    carried(run_id, "b", way=BACKWARD, epoch=2)
    assert states(run_id, BACKWARD) == {"b": "failed", "c": "in_flight"}
    swept(run_id)
    assert states(run_id, BACKWARD) == {"b": "failed", "c": "unknown"}
    actor.answers.clear()
    retry(run_id, "b", **WHY)
    settled(post, run_id)
    assert status(run_id) == "compensated"
    assert told(run_id).problems == []


@override_settings(SAGAS={"POISON_ATTEMPTS": 1})
def test_the_last_of_many_that_died_comes_up_no_more(known: Known, actor: Actor) -> None:
    run_id, _ = stopped(known, actor)
    swept(run_id)
    found = row(run_id, "c")
    assert (found.status, found.due_at) == ("unknown", None)
    assert found.error == "1 attempts of 'c' died without an answer"


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
def test_without_the_code_it_is_a_question_that_only_an_operator_settles(
    actor: Actor, known: Known
) -> None:
    with registry.isolated():
        run_id, _ = stopped(known, actor, atomic=True)
    lapse(run_id)
    sweeping = Sweep()
    sweeping()
    lapse(run_id)
    sweeping.look_after_unknown()
    found = row(run_id, "c")
    assert (found.status, found.in_doubt, found.due_at) == ("unknown", True, None)
    assert run_of(run_id).wake_at is None
    resolve(run_id, **WHY)


# --- its worker was only slow --------------------------------------------------------------


def test_a_late_success_answers_the_question(known: Known, actor: Actor, post: Post) -> None:
    run_id, answer = stopped(known, actor, idempotent=False)
    swept(run_id)
    answer()
    found = row(run_id, "c")
    assert (found.status, found.in_doubt, found.attempt) == ("succeeded", False, 1)
    assert status(run_id) == "needs_attention"
    last = Event.objects.filter(run=run_id, step="c").latest("id")
    assert (last.old, last.new, last.data["late"]) == ("unknown", "succeeded", True)
    retry(run_id, "b", **WHY)
    settled(post, run_id)
    assert (status(run_id), actor.calls.count("do c")) == ("succeeded", 1)
    assert told(run_id).problems == []


def test_so_it_does_when_the_run_goes_on_already(known: Known, actor: Actor, post: Post) -> None:
    run_id, answer = stopped(known, actor)
    swept(run_id)
    post.drop_all()
    retry(run_id, "b", **WHY)
    answer()
    settled(post, run_id)
    assert (status(run_id), actor.calls.count("do c")) == ("succeeded", 1)
    assert row(run_id, "c").attempt == 1


def test_any_other_late_answer_is_noted_and_leaves_the_question(known: Known, actor: Actor) -> None:
    run_id, answer = stopped(known, actor)
    swept(run_id)
    actor.answers["do c"] = Refused("no c")
    answer()
    assert row(run_id, "c").status == "unknown"
    last = Event.objects.filter(run=run_id, step="c").latest("id")
    assert (last.new, last.attempt, last.data) == ("", 1, {"late_answer": "Refused"})


def test_an_atomic_step_that_answers_late_takes_back_what_it_wrote(
    known: Known, actor: Actor
) -> None:
    run_id, answer = stopped(known, actor, atomic=True)
    swept(run_id)
    actor.answers["do c"] = lambda run: Run.objects.filter(pk=run.id).update(tags=["written"])
    answer()
    assert (row(run_id, "c").status, run_of(run_id).tags) == ("ready", [])


def test_settling_and_answering_at_the_same_moment_leave_one_outcome(
    known: Known, actor: Actor
) -> None:
    for _ in range(10):
        with registry.isolated():
            run_id, answer = stopped(known, actor)
            lapse(run_id)
            outcomes = at_once(sweep, answer)
        assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
        assert (row(run_id, "c").status, actor.calls) == ("succeeded", ["do c"])
        assert told(run_id).problems == []

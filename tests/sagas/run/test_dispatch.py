"""One message through the pipeline: what it may take, perform, record, carry on and hand on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db.models import F
from django.test import override_settings

from sagas import transitions
from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.outcome import NotApplied, Refused, RetryLater, Unknown
from sagas.models import Event, Run, Step
from sagas.operate.cancel import cancel
from sagas.run import heartbeat, points
from sagas.run.publishing import breaker
from sagas.run.recover import nudge
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, fork, pivot
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
    told,
)
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _legal(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


# --- carrying on ---------------------------------------------------------------------------


def test_one_message_carries_a_whole_run(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("abcd"))))
    left = carried(run_id, "a", "b", "c", "d")
    assert status(run_id) == "succeeded"
    assert actor.calls == ["do a", "do b", "do c", "do d"]
    assert left == []
    assert post.count() == 0
    assert told(run_id).problems == []


def test_a_worker_runs_four_steps_with_five_statements(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("abcd"))))
    heartbeat.ensure()
    with counted() as statements:
        carried(run_id, "a", "b", "c", "d")
    assert len(statements) == 5, statements


def test_and_one_more_if_the_run_was_touched_before(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("abcd"))))
    heartbeat.ensure()
    with counted() as statements:
        carried(run_id, "a", "b", "c", "d", saga="")
    assert len(statements) == 6, statements


def test_documents_are_read_once_by_a_message_and_by_none_that_finds_nothing_to_do(
    known: Known, actor: Actor
) -> None:
    seen: list[Any] = []
    actor.answers["do a"] = {"id": "ch_1"}
    actor.answers["do b"] = lambda run: seen.append((run.payload.number, run.results["a"]))
    steps = [actor.step("a"), actor.step("b", queue="slow"), actor.step("c", queue="slow")]
    run_id = begun(known(flow(steps)), Payload(number=7))
    carried(run_id, "a", "b", "c")
    for reading in (1, 0):
        with counted() as statements:
            carried(run_id, "b", "c", saga="")
        assert sum("payload" in sql for sql in statements) == reading, statements
    assert seen == [(7, {"id": "ch_1"})]
    assert status(run_id) == "succeeded"


def test_a_condition_finds_what_earlier_steps_gave_though_the_run_was_read_anew(
    known: Known, actor: Actor
) -> None:
    """The run moves meanwhile, so the answer is recorded under its lock, on a new view of it."""

    def move(run: object) -> None:
        Run.objects.update(revision=F("revision") + 1)

    actor.answers |= {"do a": {"id": "ch_1"}, "do b": move}
    steps = [
        actor.step("a"),
        actor.step("b"),
        actor.step("c", when=lambda run: run.results["a"] == {"id": "ch_1"}),
    ]
    run_id = begun(known(flow(steps)))
    carried(run_id, "a", "b", "c")
    assert actor.calls == ["do a", "do b", "do c"]
    assert status(run_id) == "succeeded"


def test_a_refused_step_is_undone_by_the_same_message(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do c"] = Refused("no")
    run_id = begun(known(flow(actor.steps("abcd"))))
    left = carried(run_id, "a", "b", "c", "d")
    assert actor.calls == ["do a", "do b", "do c", "undo b", "undo a"]
    assert (status(run_id), left, post.count()) == ("compensated", [], 0)
    assert states(run_id, BACKWARD) == {"a": "succeeded", "b": "succeeded"}
    assert told(run_id).problems == []


def test_a_fork_is_carried_in_one_branch_and_sent_for_the_others(
    known: Known, actor: Actor, post: Post
) -> None:
    a, b, c, d, e = actor.steps("abcde")
    run_id = begun(known(flow([a, fork([b, c], d), e])))
    carried(run_id, "a")
    assert actor.calls == ["do a", "do b", "do c"]
    assert states(run_id)["d"] == "ready"
    assert post.count() == 1
    assert post.deliver()
    assert actor.calls[3:] == ["do d", "do e"]
    assert status(run_id) == "succeeded"


def test_siblings_are_sent_before_the_carried_step_is_performed(
    known: Known, actor: Actor, post: Post
) -> None:
    sent: list[int] = []
    actor.answers["do b"] = lambda run: sent.append(post.count())
    a, b, c = actor.steps("abc")
    carried(begun(known(flow([a, fork(b, c)]))), "a")
    assert sent == [1]


# --- handing on ----------------------------------------------------------------------------


def test_a_step_on_another_queue_hops_with_the_chain(
    known: Known, actor: Actor, post: Post
) -> None:
    steps = [*actor.steps("ab"), actor.step("c", queue="payments"), actor.step("d")]
    run_id = begun(known(flow(steps)))
    left = carried(run_id, "a", "b", "c", "d")
    assert actor.calls == ["do a", "do b"]
    assert states(run_id)["c"] == "ready"
    assert left == ["c", "d"]
    assert post.count() == 0  # Celery publishes the rest of the chain


def test_a_hop_back_to_the_first_queue_is_a_hop_too(known: Known, actor: Actor, post: Post) -> None:
    steps = [actor.step("a"), actor.step("b", queue="payments"), actor.step("c")]
    run_id = begun(known(flow(steps)))
    assert carried(run_id, "a", "b", "c") == ["b", "c"]
    assert carried(run_id, "b", "c") == ["c"]
    assert carried(run_id, "c") == []
    assert status(run_id) == "succeeded"
    assert post.count() == 0


def test_a_hop_that_the_chain_does_not_carry_is_sent(
    known: Known, actor: Actor, post: Post
) -> None:
    steps = [actor.step("a"), actor.step("b", queue="payments")]
    run_id = begun(known(flow(steps)))
    assert carried(run_id, "a") == []
    assert post.count() == 1


def test_a_saga_may_want_a_hop_for_every_step(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("abc"), hop=True)))
    assert carried(run_id, "a", "b", "c") == ["b", "c"]
    assert carried(run_id, "b", "c") == ["c"]
    assert actor.calls == ["do a", "do b"]


def test_a_chain_does_not_hop_while_the_broker_takes_no_messages(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("abc"), hop=True)))
    breaker.failed()
    assert carried(run_id, "a", "b", "c") == []  # Celery would wait for the broker
    assert states(run_id) == {"a": "succeeded", "b": "ready", "c": "pending"}
    breaker.reset()
    assert nudge(run_id)


def test_a_message_is_not_carried_beyond_its_time(known: Known, actor: Actor) -> None:
    steps = [actor.step(name, timeout=10) for name in "abc"]
    run_id = begun(known(flow(steps)))
    with override_settings(SAGAS={"CARRY_SECONDS": 5}):
        assert carried(run_id, "a", "b", "c") == ["b", "c"]
    assert actor.calls == ["do a"]


def test_a_step_that_is_skipped_drops_out_of_the_chain(known: Known, actor: Actor) -> None:
    steps = [actor.step("a"), actor.step("b", when=lambda run: False), actor.step("c")]
    run_id = begun(known(flow(steps, hop=True)))
    assert carried(run_id, "a", "b", "c") == ["c"]
    assert states(run_id) == {"a": "succeeded", "b": "skipped", "c": "ready"}


@pytest.mark.parametrize("answer", [RetryLater("busy", 9.0), Unknown("reset", 9.0)])
def test_a_step_that_must_wait_ends_its_message(
    known: Known, actor: Actor, post: Post, answer: object
) -> None:
    actor.answers["do a"] = answer
    run_id = begun(known(flow(actor.steps("ab"))))
    assert carried(run_id, "a", "b") == []
    assert (post.count(), actor.calls) == (0, ["do a"])
    found = row(run_id, "a")
    assert found.due_at is not None
    wake_at = run_of(run_id).wake_at
    assert wake_at is not None
    assert abs(wake_at - found.due_at) < timedelta(seconds=1)


@pytest.mark.parametrize("answer", [RetryLater("busy", 0.0), Unknown("reset", 0.0)])
def test_a_step_that_is_due_again_at_once_is_not_left_to_a_late_sweep(
    known: Known, actor: Actor, post: Post, answer: object
) -> None:
    steps = [actor.step("a", retry=Retry(base=0.0)), actor.step("b")]
    actor.answers["do a"] = lambda run: answer if run.attempt == 1 else None
    run_id = begun(known(flow(steps)))
    carried(run_id, "a", "b")
    while post.deliver():
        pass
    assert status(run_id) == "succeeded"


# --- messages that come twice, late or for nothing -----------------------------------------


def test_a_duplicate_of_a_message_does_nothing(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a", "b")
    carried(run_id, "b")
    events, revision = Event.objects.count(), run_of(run_id).revision
    for links in (["b"], []):
        assert carried(run_id, "a", *links) == []
    assert carried(run_id, "b") == []
    assert actor.calls == ["do a", "do b"]
    assert (Event.objects.count(), run_of(run_id).revision) == (events, revision)


def test_a_duplicate_that_comes_while_its_step_is_in_flight_does_nothing(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    actor.answers["do a"] = lambda run: carried(run_id, "a", "b") and None
    carried(run_id, "a", "b")
    assert actor.calls == ["do a", "do b"]


def test_a_redelivered_message_goes_on_where_its_chain_was_left(
    known: Known, actor: Actor, post: Post
) -> None:
    """Its worker died after the commit and before it published the rest of the chain."""
    run_id = begun(known(flow(actor.steps("abc"), hop=True)))
    carried(run_id, "a", "b", "c")
    assert carried(run_id, "a", "b", "c") == ["c"]
    assert actor.calls == ["do a", "do b"]


def test_it_does_so_past_an_optional_step_that_gave_up(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = Refused("no")
    steps = [actor.step("a", optional=True), *actor.steps("bc")]
    run_id = begun(known(flow(steps, hop=True)))
    carried(run_id, "a", "b", "c")
    assert carried(run_id, "a", "b", "c") == ["c"]
    assert actor.calls == ["do a", "do b"]


def test_a_step_is_not_taken_by_a_message_of_another_queue(known: Known, actor: Actor) -> None:
    steps = [actor.step("a"), actor.step("b", queue="payments")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "a", "b")
    carried(run_id, "a", "b")
    assert actor.calls == ["do a"]


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_message_of_another_epoch_takes_nothing(known: Known, actor: Actor, epoch: int) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert carried(run_id, "a", "b", epoch=epoch) == []
    assert actor.calls == []


def test_a_forward_message_takes_nothing_of_a_run_that_turned_back(
    known: Known, actor: Actor
) -> None:
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a", "b")
    carried(run_id, "b")
    assert status(run_id) == "compensating"
    carried(run_id, "a", "b")
    assert actor.calls == ["do a", "do b"]
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert status(run_id) == "compensated"


def test_a_message_for_a_finished_run_takes_nothing(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    finished = run_of(run_id).finished_at
    carried(run_id, "a")
    assert actor.calls == ["do a"]
    assert run_of(run_id).finished_at == finished


def test_a_message_for_a_run_that_nobody_knows_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    run_id = uuid4()
    with caplog.at_level(logging.WARNING, "sagas.dispatch"):
        assert carried(run_id, "a", "b") == []
    assert f"run {run_id}, which does not exist" in caplog.text


@pytest.mark.parametrize("name", ["b", "stranger"])
def test_a_message_for_a_step_whose_turn_has_not_come_takes_nothing(
    known: Known, actor: Actor, name: str
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert carried(run_id, name) == []
    assert actor.calls == []


# --- lost attempts -------------------------------------------------------------------------


def test_a_lost_attempt_is_taken_over_with_the_same_key(known: Known, actor: Actor) -> None:
    keys: list[str] = []
    actor.answers["do a"] = lambda run: keys.append(run.key)
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    _claimed_by_a_worker_that_dies(run_id)
    carried(run_id, "a")
    assert actor.calls == []  # its lease is not over
    lapse(run_id)
    carried(run_id, "a")
    found = row(run_id, "a")
    assert (found.status, found.attempt, found.in_doubt) == ("succeeded", 2, False)
    assert len(keys) == 1


def test_a_lost_attempt_is_verified_where_it_can_be(known: Known, actor: Actor) -> None:
    actor.answers["verify a"] = True
    run_id = begun(known(flow([actor.step("a", verified=True)])))
    _claimed_by_a_worker_that_dies(run_id)
    lapse(run_id)
    carried(run_id, "a")
    assert actor.calls == ["verify a"]
    assert status(run_id) == "succeeded"


def test_what_verify_finds_not_applied_is_done_by_the_same_message(
    known: Known, actor: Actor
) -> None:
    actor.answers["verify a"] = NotApplied()
    run_id = begun(known(flow([actor.step("a", verified=True)])))
    _claimed_by_a_worker_that_dies(run_id)
    lapse(run_id)
    carried(run_id, "a")
    assert actor.calls == ["verify a", "do a"]


def test_the_late_answer_of_a_lost_attempt_is_refused_and_logged(
    known: Known, actor: Actor
) -> None:
    def freeze(run: object) -> None:
        actor.answers["do a"] = None
        lapse(run_id)
        carried(run_id, "a")  # another worker takes over, and ends the run

    actor.answers["do a"] = freeze
    run_id = begun(known(flow(actor.steps("a"))))
    assert carried(run_id, "a", "b") == []
    assert actor.calls == ["do a", "do a"]
    late = Event.objects.filter(run=run_id, new="").latest("id")
    assert (late.step, late.attempt, late.data) == ("a", 1, {"late_answer": "Done"})
    assert row(run_id, "a").attempt == 2
    assert told(run_id).problems == []


def frozen_meanwhile(actor: Actor, step: str, meanwhile: Callable[[], object]) -> None:
    """The step's first attempt is frozen after its call; something happens; then it answers."""

    def freeze(run: object) -> None:
        actor.answers[f"do {step}"] = None
        meanwhile()

    actor.answers[f"do {step}"] = freeze


def test_a_worker_that_is_frozen_before_its_call_does_not_make_it(
    known: Known, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When it wakes another has the step: its own call would be a second effect."""
    unsafe = actor.step("a", verified=True, idempotent=False, timeout=0.05)
    run_id = begun(known(flow([unsafe])))
    actor.answers["verify a"] = NotApplied()

    def freeze(point: str, step: str, direction: str) -> None:
        if point == "K1":
            monkeypatch.setattr(points, "on_reached", None)
            lapse(run_id)
            carried(run_id, "a")
            time.sleep(0.06)

    monkeypatch.setattr(points, "on_reached", freeze)
    carried(run_id, "a")
    assert actor.calls == ["verify a", "do a"]
    assert status(run_id) == "succeeded"
    late = Event.objects.get(run=run_id, data__has_key="late_answer")
    assert late.data == {"late_answer": "RetryLater"}


def test_a_late_success_of_what_is_not_deduplicated_needs_a_person(
    known: Known, actor: Actor
) -> None:
    saga = known(
        flow([actor.step("a", verified=True, idempotent=False), actor.step("b")], hop=True)
    )
    run_id = begun(saga)
    actor.answers["verify a"] = NotApplied()

    def take_over() -> None:
        lapse(run_id)
        carried(run_id, "a")  # not found ...
        carried(run_id, "a")  # ... so done: its effect stands twice

    frozen_meanwhile(actor, "a", take_over)
    carried(run_id, "a")
    assert actor.calls == ["do a", "verify a", "do a"]
    assert status(run_id) == "needs_attention"
    assert "Attempt 1 of 'a' was given up and then succeeded" in run_of(run_id).attention
    stray = Event.objects.get(run=run_id, data__has_key="late_answer")
    assert stray.data == {"late_answer": "Done", "stray": True}
    assert told(run_id).problems == []


def test_a_late_success_in_a_run_that_has_undone_it_is_marked(known: Known, actor: Actor) -> None:
    """Its effect came after the undoing, or stands for good: the run is over, so the log tells."""
    saga = known(flow([actor.step("a", undo={"tolerates_nothing": True})]))
    run_id = begun(saga)

    def turn_back() -> None:
        cancel(run_id)
        lapse(run_id)
        carried(run_id, "a")

    frozen_meanwhile(actor, "a", turn_back)
    carried(run_id, "a")
    assert actor.calls == ["do a", "undo a"]
    assert status(run_id) == "compensated"
    stray = Event.objects.get(run=run_id, data__has_key="late_answer")
    assert stray.data == {"late_answer": "Done", "stray": True}


def test_a_late_success_with_a_key_that_is_deduplicated_is_nothing_new(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))

    def take_over() -> None:
        lapse(run_id)
        carried(run_id, "a")

    frozen_meanwhile(actor, "a", take_over)
    carried(run_id, "a")
    assert status(run_id) == "running"
    assert Event.objects.get(run=run_id, data__has_key="late_answer").data == {
        "late_answer": "Done"
    }


def test_a_late_answer_leaves_a_finished_run_as_it_was(known: Known, actor: Actor) -> None:
    before: list[object] = []

    def freeze(run: object) -> None:
        actor.answers["do a"] = None
        lapse(run_id)
        carried(run_id, "a")
        before.append(run_of(run_id).finished_at)

    actor.answers["do a"] = freeze
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    assert Event.objects.filter(run=run_id, data__has_key="late_answer").exists()
    assert run_of(run_id).finished_at == before[0]


def test_a_step_that_keeps_killing_its_workers_needs_a_person(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    _claimed_by_a_worker_that_dies(run_id)
    for _ in range(4):
        lapse(run_id)
        _claimed_by_a_worker_that_dies(run_id)
    lapse(run_id)
    carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    assert run_of(run_id).attention == "5 attempts of 'a' died without an answer."
    assert actor.calls == []


def _claimed_by_a_worker_that_dies(run_id: UUID) -> None:
    with patch("sagas.run.dispatch.attempt", return_value=None):
        carried(run_id, "a")


# --- definitions that do not fit -----------------------------------------------------------


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
def test_a_run_whose_definition_is_gone_needs_a_person(known: Known, actor: Actor) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    run = run_of(run_id)
    assert run.status == "needs_attention"
    assert run.attention.startswith("The code that runs this saga does not fit the run: No saga")
    assert actor.calls == []


def test_a_young_run_is_left_to_workers_whose_code_is_newer(known: Known, actor: Actor) -> None:
    with registry.isolated():
        saga = known(flow(actor.steps("ab")))
        run_id = begun(saga)
    carried(run_id, "a")
    assert (status(run_id), actor.calls) == ("pending", [])
    registry.register(saga)
    carried(run_id, "a")
    assert status(run_id) == "succeeded"


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
def test_a_run_whose_steps_have_changed_needs_a_person(known: Known, actor: Actor) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("ab"))))
    known(flow(actor.steps("abc")))
    carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    assert "has other steps than when this run started" in run_of(run_id).attention
    assert actor.calls == []


def test_a_run_keeps_to_the_version_it_was_started_with(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    known(flow(actor.steps("xyz"), version=2))
    carried(run_id, "a")
    assert actor.calls == ["do a", "do b"]


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
def test_a_run_that_does_not_fit_is_parked_once(known: Known, actor: Actor) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("ab"))))
    for _ in range(3):
        carried(run_id, "a")
        nudge(run_id)
    assert Event.objects.filter(run=run_id, new="needs_attention").count() == 1


def test_a_finished_run_whose_definition_is_gone_is_left_in_peace(
    known: Known, actor: Actor
) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("a"))))
        carried(run_id, "a")
    carried(run_id, "a")
    nudge(run_id)
    assert status(run_id) == "succeeded"


# --- conflicts -----------------------------------------------------------------------------


def test_a_claim_that_somebody_was_quicker_with_is_given_up(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    real = transitions.write

    def slow(draft: object) -> bool:
        with patch.object(transitions, "write", real):
            carried(run_id, "a", "b")  # the other worker
        return real(draft)  # type: ignore[arg-type]

    with patch.object(transitions, "write", slow):
        left = carried(run_id, "a")
    assert actor.calls == ["do a"]
    assert left == []


def test_an_answer_that_conflicts_with_another_branch_is_planned_again(
    known: Known, actor: Actor, post: Post
) -> None:
    a, b, c = actor.steps("abc")
    run_id = begun(known(flow([fork(a, b), c])))
    actor.answers["do a"] = lambda run: carried(run_id, "b") and None
    carried(run_id, "a")
    assert actor.calls == ["do a", "do b", "do c"]
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_a_branch_that_fails_while_another_is_in_flight_waits_for_it(
    known: Known, actor: Actor, post: Post
) -> None:
    a, b, c = actor.steps("abc")
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow([fork(a, b), c])))
    actor.answers["do a"] = lambda run: carried(run_id, "b") and None
    carried(run_id, "a")
    assert actor.calls == ["do a", "do b", "undo a"]
    assert status(run_id) == "compensated"


def test_a_deadline_that_has_passed_turns_the_run_back_at_the_next_claim(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)), deadline=timedelta(hours=1))
    carried(run_id, "a", "b")
    Run.objects.filter(pk=run_id).update(deadline_at=F("created_at"))
    carried(run_id, "b")
    assert actor.calls == ["do a"]
    assert (status(run_id), run_of(run_id).halt) == ("compensating", "deadline")


def test_after_the_pivot_nothing_is_undone(known: Known, actor: Actor) -> None:
    a, p, b = actor.step("a"), pivot(actor.step("p")), actor.step("b")
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow([a, p, b])))
    carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    assert not Step.objects.filter(run_id=run_id, direction="backward").exists()

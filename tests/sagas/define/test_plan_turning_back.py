"""The planner: cancels and deadlines are honoured at a step boundary, and refused by the pivot."""

from __future__ import annotations

import pytest

from sagas.define import plan
from sagas.define.outcome import Done, NotApplied, Outcome, Refused, RetryLater, Unknown, Wait
from sagas.states import Halt, RunStatus, StepStatus
from tests.sagas.define.hand import BACKWARD, FORWARD, Hand
from tests.sagas.flows import flow, fork, pivot, simple, verified

SAGA = flow(["a", "b", pivot(simple("p")), "c"])


def at(name: str) -> Hand:
    """A run whose turn it is to do this step."""
    hand = Hand(SAGA)
    for step in SAGA.steps:
        if step == name:
            break
        hand.do(step, Done())
    return hand


# --- cancel --------------------------------------------------------------------------------


def test_a_run_that_has_not_begun_is_cancelled_at_once_and_had_no_effect() -> None:
    hand = at("a")
    hand.cancel()
    assert hand.view.status is RunStatus.COMPENSATED
    assert hand.states() == dict.fromkeys("abpc", "pending")
    assert hand.states(BACKWARD) == {}
    assert hand.view.epoch == 1


def test_a_message_for_a_run_that_was_cancelled_takes_nothing() -> None:
    hand = at("a")
    hand.cancel()
    assert not hand.claim("a")


@pytest.mark.parametrize(("step", "undone"), [("b", ["a"]), ("p", ["a", "b"])])
def test_between_two_steps_a_cancel_turns_back_at_once(step: str, undone: list[str]) -> None:
    hand = at(step)
    draft = hand.cancel()
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states()[step] == "pending"
    assert list(hand.states(BACKWARD)) == undone
    assert [row.name for row in draft.to_send] == undone[-1:]
    assert hand.view.epoch == 2


@pytest.mark.parametrize("step", ["a", "b"])
def test_while_a_step_is_in_flight_a_cancel_waits_for_it(step: str) -> None:
    hand = at(step)
    hand.claim(step)
    hand.cancel()
    assert (hand.view.status, hand.view.halt) == (RunStatus.RUNNING, Halt.CANCELLED)
    hand.answer(step, Done())
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.row(step, BACKWARD).status is StepStatus.READY


def test_a_cancelled_step_that_did_nothing_is_not_tried_again() -> None:
    hand = at("b")
    hand.claim("b")
    hand.cancel()
    hand.answer("b", RetryLater("busy"))
    assert (hand.view.status, hand.states()["b"]) == (RunStatus.COMPENSATING, "pending")
    assert list(hand.states(BACKWARD)) == ["a"]


def test_a_cancelled_step_that_was_refused_is_not_undone() -> None:
    hand = at("b")
    hand.claim("b")
    hand.cancel()
    hand.answer("b", Refused("no"))
    assert (hand.view.status, hand.view.halt) == (RunStatus.COMPENSATING, Halt.CANCELLED)
    assert list(hand.states(BACKWARD)) == ["a"]


def test_a_cancel_during_a_backoff_does_not_wait_for_the_next_try() -> None:
    hand = at("b")
    hand.do("b", RetryLater("busy", after=50))
    hand.cancel()
    assert hand.view.status is RunStatus.COMPENSATING


def test_a_cancel_while_a_step_waits_does_not_wait_too() -> None:
    hand = at("b")
    hand.do("b", Wait(3600.0, "approved", "k"))
    hand.cancel()
    assert (hand.view.status, hand.states()["b"]) == (RunStatus.COMPENSATING, "pending")


def test_a_cancel_in_the_last_step_of_a_saga_without_a_pivot_still_undoes_it() -> None:
    hand = Hand(flow(["a"]))
    hand.claim("a")
    hand.cancel()
    hand.answer("a", Done())
    assert hand.view.status is RunStatus.COMPENSATING


def test_the_compensations_run_after_a_cancel_end_the_run() -> None:
    hand = at("p")
    hand.cancel()
    hand.do("b", Done(), BACKWARD)
    hand.do("a", Done(), BACKWARD)
    assert hand.view.status is RunStatus.COMPENSATED


def test_forward_messages_take_nothing_while_the_run_compensates() -> None:
    hand = at("b")
    hand.cancel()
    hand.row("b").free_in = 0
    assert not hand.claim("b")
    assert not hand.claim("a")


# --- the pivot -----------------------------------------------------------------------------


def test_a_cancel_while_the_pivot_is_in_flight_is_dropped_if_the_pivot_passes() -> None:
    hand = at("p")
    hand.claim("p")
    hand.cancel()
    draft = hand.answer("p", Done())
    assert (hand.view.status, hand.view.halt) == (RunStatus.RUNNING, Halt.NONE)
    assert hand.states()["c"] == "ready"
    assert {"ignored": "the pivot has been passed"} in [event.data for event in draft.events]


@pytest.mark.parametrize("answer", [Refused("declined"), RetryLater("busy")])
def test_or_honoured_if_it_did_not_happen(answer: Outcome) -> None:
    hand = at("p")
    hand.claim("p")
    hand.cancel()
    hand.answer("p", answer)
    assert hand.view.status is RunStatus.COMPENSATING
    assert list(hand.states(BACKWARD)) == ["a", "b"]


def test_or_given_to_a_person_if_nobody_can_tell() -> None:
    hand = at("p")
    hand.claim("p")
    hand.cancel()
    hand.answer("p", Unknown("reset"))
    assert hand.view.status is RunStatus.NEEDS_ATTENTION
    assert hand.states(BACKWARD) == {}


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(Done(), RunStatus.RUNNING), (NotApplied(), RunStatus.COMPENSATING)],
)
def test_a_pivot_in_doubt_is_verified_before_a_cancel_is_honoured(
    verdict: Outcome, status: RunStatus
) -> None:
    hand = Hand(flow(["a", pivot(verified("p")), "c"]))
    hand.do("a", Done())
    hand.do("p", Unknown("reset"))
    hand.cancel()
    assert hand.view.status is RunStatus.RUNNING
    hand.do("p", verdict)
    assert hand.view.status is status


def test_past_the_pivot_means_that_it_was_done() -> None:
    hand = at("p")
    passed = [plan.past_pivot(SAGA, hand.view)]
    hand.claim("p")
    passed.append(plan.past_pivot(SAGA, hand.view))
    hand.answer("p", Done())
    passed.append(plan.past_pivot(SAGA, hand.view))
    assert passed == [False, False, True]


def test_a_saga_without_a_pivot_never_passes_one() -> None:
    hand = Hand(flow(["a"]))
    hand.do("a", Done())
    assert not plan.past_pivot(hand.saga, hand.view)


# --- deadline ------------------------------------------------------------------------------


def test_a_run_whose_deadline_passed_before_it_began_has_no_effect() -> None:
    hand = at("a")
    hand.pass_deadline()
    draft = hand.claim("a")
    assert (hand.view.status, hand.view.halt) == (RunStatus.COMPENSATED, Halt.DEADLINE)
    assert draft.claimed is None


def test_a_deadline_turns_the_run_back_when_the_next_step_is_to_be_claimed() -> None:
    hand = at("b")
    hand.pass_deadline()
    draft = hand.claim("b")
    assert (hand.view.status, hand.view.halt) == (RunStatus.COMPENSATING, Halt.DEADLINE)
    assert [row.name for row in draft.to_send] == ["a"]


def test_the_worker_that_finds_the_deadline_passed_may_undo_at_once() -> None:
    hand = Hand(flow(["a", "b"]), carries=False)
    hand.do("a", Done())
    hand.pass_deadline()
    hand.row("b").free_in = 0
    worker = plan.Worker(lambda step, way: True, lambda step: True)
    draft = plan.claim(hand.saga, hand.view, "b", FORWARD, worker)
    assert draft.claimed is hand.row("a", BACKWARD)


def test_a_deadline_that_passes_during_a_step_is_honoured_when_it_answers() -> None:
    hand = at("b")
    hand.claim("b")
    hand.pass_deadline()
    hand.answer("b", Done())
    assert hand.view.status is RunStatus.COMPENSATING
    assert list(hand.states(BACKWARD)) == ["a", "b"]


def test_a_deadline_ends_a_wait() -> None:
    hand = at("b")
    hand.do("b", Wait(3600.0, "approved", "k"))
    hand.pass_deadline()
    hand.claim("b")
    assert hand.view.status is RunStatus.COMPENSATING


def test_after_the_pivot_a_deadline_is_ignored() -> None:
    hand = at("c")
    hand.pass_deadline()
    hand.do("c", RetryLater("busy"))
    hand.do("c", Done())
    assert (hand.view.status, hand.view.halt) == (RunStatus.SUCCEEDED, Halt.NONE)
    assert hand.view.deadline is None  # so that nothing is woken for it


def test_a_deadline_that_passes_while_compensating_changes_nothing() -> None:
    hand = at("b")
    hand.do("b", Refused("no"))
    hand.pass_deadline()
    hand.do("a", RetryLater("busy"), BACKWARD)
    hand.do("a", Done(), BACKWARD)
    assert (hand.view.status, hand.view.halt) == (RunStatus.COMPENSATED, Halt.FAILED)


def test_the_first_reason_to_turn_back_is_kept() -> None:
    hand = Hand(flow([fork("a", "b")]))
    hand.claim("a")
    hand.claim("b")
    hand.answer("a", Refused("no"))
    hand.pass_deadline()
    hand.cancel()
    hand.answer("b", Done())
    assert hand.view.halt is Halt.FAILED


# --- the order of undoing ------------------------------------------------------------------


def test_the_epoch_is_raised_when_the_direction_changes_and_only_then() -> None:
    hand = at("b")
    assert hand.view.epoch == 1
    hand.do("b", Refused("no"))
    assert hand.view.epoch == 2
    hand.do("a", Done(), BACKWARD)
    assert hand.view.epoch == 2


def test_compensations_carry_the_place_of_their_step() -> None:
    hand = at("p")
    hand.cancel()
    assert [(row.name, row.position) for row in hand.view.rows(BACKWARD)] == [("a", 0), ("b", 1)]


def test_a_worker_that_carries_on_undoes_in_the_same_commit() -> None:
    hand = Hand(flow(["a", "b", "c"]), carries=True)
    hand.answer("a", Done())
    hand.answer("b", Done())
    draft = hand.answer("c", Refused("no"))
    assert draft.claimed is hand.row("b", BACKWARD)
    draft = hand.answer("b", Done(), BACKWARD)
    assert draft.claimed is hand.row("a", BACKWARD)
    hand.answer("a", Done(), BACKWARD)
    assert hand.view.status is RunStatus.COMPENSATED

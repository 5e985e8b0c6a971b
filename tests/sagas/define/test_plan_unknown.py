"""The planner: an unknown outcome is found out, repeated, undone, or given to a person."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.define.backoff import Retry
from sagas.define.outcome import Done, NotApplied, Outcome, Refused, RetryLater, Unknown, Wait
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.states import Halt, RunStatus, StepStatus
from sagas.testing import given
from tests.sagas.define.hand import BACKWARD, FORWARD, Hand
from tests.sagas.flows import Payload, flow, pivot, simple, verified

_RESET = Unknown("reset")
_TOLERANT = {"tolerates_nothing": True}


def around(step: Step) -> Definition:
    """A saga with a step before and one after."""
    return flow(["before", step, "after"])


# --- verify --------------------------------------------------------------------------------


def test_what_verify_finds_done_is_not_repeated_and_goes_on() -> None:
    given(around(verified("a")), Payload()).when("a", _RESET).when_verifying("a", True).expect(
        "succeeded", calls=["do before", "do a", "verify a", "do after"]
    )


def test_the_result_that_verify_finds_is_the_steps_result() -> None:
    scenario = given(around(verified("a")), Payload()).when("a", _RESET)
    scenario.when_verifying("a", {"id": "ch_1"}).expect("succeeded")
    assert scenario.view.steps[FORWARD, "a"].result == '{"id":"ch_1"}'


def test_what_verify_finds_not_applied_is_tried_again() -> None:
    scenario = given(around(verified("a")), Payload()).when("a", _RESET, None)
    scenario.when_verifying("a", NotApplied()).expect(
        "succeeded", calls=["do before", "do a", "verify a", "do a", "do after"]
    )


def test_verifies_cost_no_tries_of_the_action() -> None:
    step = verified("a", retry=Retry(attempts=3))
    scenario = given(around(step), Payload()).when("a", _RESET, _RESET, None)
    scenario.when_verifying("a", _RESET, _RESET, NotApplied(), _RESET, NotApplied())
    calls = ["do a", "verify a", "verify a", "verify a", "do a", "verify a", "verify a", "do a"]
    scenario.expect("succeeded", calls=["do before", *calls, "do after"])


def test_not_applied_at_the_last_try_gives_up_and_is_not_undone() -> None:
    step = verified("a", retry=Retry(attempts=2))
    scenario = given(around(step), Payload()).when("a", _RESET).when_verifying("a", NotApplied())
    scenario.expect(
        "compensated",
        calls=["do before", "do a", "verify a", "do a", "verify a", "undo before"],
        undone=["before"],
    )


@pytest.mark.parametrize("then", [[Refused("the key was used")], []])
def test_what_failed_after_a_doubt_is_undone_if_that_tolerates_that_there_is_nothing(
    then: list[Any],
) -> None:
    """A verify may have asked too early for an effect that came late."""
    step = verified("a", retry=Retry(attempts=2 if then else 1), undo=_TOLERANT)
    scenario = given(around(step), Payload()).when("a", _RESET, *then)
    scenario.when_verifying("a", NotApplied()).expect(
        "compensated",
        calls=["do before", "do a", "verify a", *["do a" for _ in then], "undo a", "undo before"],
    )


def test_a_refusal_without_a_doubt_before_it_undoes_nothing_of_its_own() -> None:
    given(around(verified("a", undo=_TOLERANT)), Payload()).when("a", Refused("no")).expect(
        "compensated", calls=["do before", "do a", "undo before"]
    )


@pytest.mark.parametrize("answer", [_RESET, Refused("404?"), RetryLater("busy"), Wait(1.0)])
def test_a_verify_that_cannot_tell_is_asked_again_until_its_budget_is_spent(answer: Any) -> None:
    step = verified("a", verify_retry=Retry(attempts=3))
    scenario = given(around(step), Payload()).when("a", _RESET).when_verifying("a", answer)
    scenario.expect("needs_attention", calls=["do before", "do a", *["verify a"] * 3], undone=[])
    assert scenario.view.attention.startswith("Nobody can tell whether 'a' happened: verify cannot")
    assert scenario.view.steps[FORWARD, "a"].status is StepStatus.UNKNOWN


def test_a_verify_that_never_can_tell_leaves_it_to_a_compensation_that_tolerates_nothing() -> None:
    step = verified("a", verify_retry=Retry(attempts=3), undo=_TOLERANT)
    given(around(step), Payload()).when("a", _RESET).when_verifying("a", _RESET).expect(
        "compensated",
        calls=["do before", "do a", *["verify a"] * 3, "undo a", "undo before"],
    )


def test_a_verify_may_say_when_to_ask_again() -> None:
    hand = Hand(around(verified("a")))
    hand.do("before", Done())
    hand.do("a", Unknown("accepted, not settled", after=20.0))
    assert hand.last.changes[FORWARD, "a"].due_in == 20.0
    hand.do("a", Unknown("still not settled", after=40.0))
    assert hand.last.changes[FORWARD, "a"].due_in == 40.0


def test_after_not_applied_the_verify_has_its_whole_budget_again() -> None:
    step = verified("a", retry=Retry(attempts=9), verify_retry=Retry(attempts=2))
    scenario = given(around(step), Payload()).when("a", _RESET, _RESET, _RESET, None)
    scenario.when_verifying("a", _RESET, NotApplied(), _RESET, NotApplied(), _RESET, True)
    scenario.expect("succeeded")


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_step_with_a_verify_is_never_repeated_on_doubt(idempotent: bool) -> None:
    step = verified("a", idempotent=idempotent, verify_retry=Retry(attempts=2))
    scenario = given(around(step), Payload()).when("a", _RESET).when_verifying("a", _RESET)
    scenario.expect("needs_attention", calls=["do before", "do a", "verify a", "verify a"])


# --- no verify -----------------------------------------------------------------------------


def test_without_a_verify_the_action_is_repeated_with_the_same_key() -> None:
    hand = Hand(around(simple("a")))
    hand.do("before", Done())
    hand.claim("a")
    first = hand.view.key_of(hand.row("a"))
    hand.answer("a", _RESET)
    assert hand.states()["a"] == "unknown"
    hand.claim("a")
    assert hand.view.key_of(hand.row("a")) == first
    hand.answer("a", Done())
    assert not hand.row("a").in_doubt
    assert hand.states()["a"] == "succeeded"


def test_a_try_that_surely_did_nothing_does_not_settle_the_doubt_about_an_earlier_one() -> None:
    hand = Hand(around(simple("a")))
    hand.do("before", Done())
    hand.do("a", _RESET)
    hand.do("a", RetryLater("busy"))
    assert (hand.states()["a"], hand.row("a").in_doubt) == ("unknown", True)


@pytest.mark.parametrize("last", [_RESET, RetryLater("busy"), Refused("no")])
def test_a_doubt_that_no_try_can_settle_needs_a_person(last: Outcome) -> None:
    step = simple("a", retry=Retry(attempts=2))
    scenario = given(around(step), Payload()).when("a", _RESET, last)
    scenario.expect("needs_attention", calls=["do before", "do a", "do a"], undone=[])
    assert scenario.view.attention.startswith("Nobody can tell whether 'a' happened")


@pytest.mark.parametrize("last", [_RESET, RetryLater("busy"), Refused("no")])
def test_or_is_undone_if_the_compensation_tolerates_nothing(last: Outcome) -> None:
    step = simple("a", retry=Retry(attempts=2), undo=_TOLERANT)
    given(around(step), Payload()).when("a", _RESET, last).expect(
        "compensated", calls=["do before", "do a", "do a", "undo a", "undo before"]
    )


def test_what_is_not_idempotent_is_never_repeated_on_doubt() -> None:
    given(around(simple("a", idempotent=False)), Payload()).when("a", _RESET).expect(
        "needs_attention", calls=["do before", "do a"]
    )


def test_but_undone_at_once_if_the_compensation_tolerates_nothing() -> None:
    step = simple("a", idempotent=False, undo=_TOLERANT)
    given(around(step), Payload()).when("a", _RESET).expect(
        "compensated", calls=["do before", "do a", "undo a", "undo before"]
    )


def test_a_step_that_is_not_idempotent_is_still_retried_when_it_surely_did_nothing() -> None:
    step = simple("a", idempotent=False)
    given(around(step), Payload()).when("a", RetryLater("busy"), None).expect("succeeded")


def test_a_doubt_about_a_harmless_step_turns_the_run_back() -> None:
    step = simple("a", harmless=True, retry=Retry(attempts=2))
    given(around(step), Payload()).when("a", _RESET).expect("compensated", undone=["before"])


def test_a_doubtful_step_is_undone_without_a_result() -> None:
    hand = Hand(around(simple("a", idempotent=False, undo=_TOLERANT)))
    hand.do("before", Done())
    hand.do("a", _RESET)
    assert hand.row("a").result is None
    assert hand.row("a").in_doubt
    assert hand.view.halt is Halt.FAILED


# --- the pivot and after it ----------------------------------------------------------------


@pytest.mark.parametrize("tolerant", [{}, _TOLERANT])
def test_a_pivot_in_doubt_is_never_undone(tolerant: dict[str, bool]) -> None:
    step = pivot(simple("p", retry=Retry(attempts=2), undo=tolerant))
    scenario = given(flow(["a", step, "b"]), Payload()).when("p", _RESET)
    scenario.expect("needs_attention", calls=["do a", "do p", "do p"], undone=[])


def test_a_pivot_that_verify_finds_not_applied_can_still_turn_back() -> None:
    step = pivot(verified("p", retry=Retry(attempts=1)))
    scenario = given(flow(["a", step, "b"]), Payload()).when("p", _RESET)
    scenario.when_verifying("p", NotApplied()).expect("compensated", undone=["a"])


def test_a_pivot_that_verify_finds_done_has_been_passed() -> None:
    step = pivot(verified("p", retry=Retry(attempts=1)))
    scenario = given(flow(["a", step, "b"]), Payload()).when("p", _RESET)
    scenario.when_verifying("p", _RESET, True).expect("succeeded", done=["a", "p", "b"])


def test_after_the_pivot_a_doubtful_step_is_repeated_for_ever() -> None:
    saga = flow([pivot(simple("p")), "b"])
    given(saga, Payload()).when("b", *[_RESET] * 200, None).expect("succeeded")


def test_after_the_pivot_what_is_not_idempotent_needs_a_person() -> None:
    saga = flow([pivot(simple("p")), simple("b", idempotent=False)])
    given(saga, Payload()).when("b", _RESET).expect("needs_attention", calls=["do p", "do b"])


# --- turning back --------------------------------------------------------------------------


def test_a_run_that_turns_back_first_finds_out_what_is_in_doubt() -> None:
    saga = flow(["before", verified("a"), "after"])
    scenario = given(saga, Payload()).when("a", _RESET).cancelled_after("a")
    scenario.when_verifying("a", _RESET, True).expect(
        "compensated",
        calls=["do before", "do a", "verify a", "verify a", "undo a", "undo before"],
    )


def test_and_does_not_repeat_what_verify_finds_not_applied() -> None:
    saga = flow(["before", verified("a"), "after"])
    scenario = given(saga, Payload()).when("a", _RESET).cancelled_after("a")
    scenario.when_verifying("a", NotApplied()).expect(
        "compensated", calls=["do before", "do a", "verify a", "undo before"]
    )


def test_without_a_verify_the_doubt_is_given_to_a_compensation_that_tolerates_nothing() -> None:
    saga = around(simple("a", undo=_TOLERANT))
    given(saga, Payload()).when("a", _RESET).cancelled_after("a").expect(
        "compensated", calls=["do before", "do a", "undo a", "undo before"]
    )


def test_or_to_a_person() -> None:
    scenario = given(around(simple("a")), Payload()).when("a", _RESET).cancelled_after("a")
    scenario.expect("needs_attention", undone=[])
    assert scenario.view.attention == "Nobody can tell whether 'a' happened: the run turns back."


@pytest.mark.parametrize(("undo", "status"), [({}, "needs_attention"), (_TOLERANT, "compensated")])
def test_a_doubt_is_not_forgotten_while_the_step_waits(undo: Any, status: str) -> None:
    """A charge times out; the repeated call answers "processing, come again"; then a cancel."""
    hand = Hand(around(simple("a", undo=undo)))
    hand.do("before", Done())
    hand.do("a", _RESET)
    hand.do("a", Wait(60.0))
    assert (hand.states()["a"], hand.row("a").in_doubt) == ("waiting", True)
    hand.cancel()
    if status == "compensated":
        hand.do("a", Done(), BACKWARD)
        hand.do("before", Done(), BACKWARD)
    assert hand.view.status == RunStatus(status)

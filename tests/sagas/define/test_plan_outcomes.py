"""The planner: what each answer of a step leads to, and when a budget is spent."""

from __future__ import annotations

from typing import Any

import pytest

from sagas.define import plan
from sagas.define.backoff import Retry
from sagas.define.outcome import Done, NotApplied, Refused, RetryLater, Unknown, Wait
from sagas.define.step import Step
from sagas.states import Halt, RunStatus, StepStatus
from sagas.testing import given
from tests.sagas.define.hand import BACKWARD, FORWARD, Hand
from tests.sagas.flows import Payload, flow, fork, pivot, simple

_BUSY = RetryLater("busy")


def test_done_steps_follow_one_another_until_the_run_has_succeeded() -> None:
    given(flow(["a", "b", pivot(simple("c")), "d"]), Payload()).expect(
        "succeeded", calls=["do a", "do b", "do c", "do d"], done=["a", "b", "c", "d"], undone=[]
    )


def test_a_refused_step_is_not_retried_and_what_was_done_is_undone_in_reverse() -> None:
    given(flow(["a", "b", "c", "d"]), Payload()).when("c", Refused("no")).expect(
        "compensated", calls=["do a", "do b", "do c", "undo b", "undo a"], undone=["b", "a"]
    )


def test_a_refused_first_step_leaves_nothing_to_undo() -> None:
    given(flow(["a", "b"]), Payload()).when("a", Refused("no")).expect(
        "compensated", calls=["do a"], undone=[]
    )


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_a_busy_step_is_tried_as_often_as_its_budget_says(attempts: int) -> None:
    saga = flow(["a", simple("b", retry=Retry(attempts=attempts))])
    given(saga, Payload()).when("b", _BUSY).expect(
        "compensated", calls=["do a", *["do b"] * attempts, "undo a"]
    )


def test_a_busy_step_that_comes_round_goes_on() -> None:
    given(flow(["a", "b"]), Payload()).when("a", _BUSY, _BUSY, None).expect(
        "succeeded", calls=["do a", "do a", "do a", "do b"]
    )


def test_no_try_is_made_after_the_total_time() -> None:
    saga = flow([simple("a", retry=Retry(attempts=None, base=8.0, cap=8.0, total=60.0))])
    scenario = given(saga, Payload()).when("a", RetryLater("busy", after=8.0)).play()
    assert scenario.view.status is RunStatus.COMPENSATED
    assert len(scenario.calls) == 8  # at 0, 8, ... 56 seconds


def test_no_try_is_planned_for_after_the_total_time() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=None, total=10.0))]))
    hand.do("a", RetryLater("busy", after=30.0))
    assert hand.states() == {"a": "failed"}


def test_the_time_that_a_call_took_counts_towards_the_total() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=None, base=0.0, total=10.0))]))
    hand.claim("a")
    hand.view.read_at -= 11
    hand.answer("a", _BUSY)
    assert hand.states() == {"a": "failed"}


def test_the_time_of_earlier_tries_in_the_same_message_counts_too() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=None, base=0.0, total=10.0))]), carries=True)
    for state in ("in_flight", "failed"):
        hand.view.read_at -= 6
        hand.answer("a", _BUSY)
        assert hand.states() == {"a": state}


def test_the_time_of_earlier_steps_in_the_same_message_does_not() -> None:
    step = simple("b", retry=Retry(attempts=None, base=0.0, total=10.0))
    hand = Hand(flow(["a", step]), carries=True)
    hand.view.read_at -= 100
    hand.answer("a", Done())
    hand.answer("b", _BUSY)
    assert hand.states()["b"] == "in_flight"


def test_what_a_partner_asks_for_is_waited_for_beyond_the_cap() -> None:
    hand = Hand(flow([simple("a", retry=Retry(cap=60.0)), "b"]))
    due = [
        hand.do("a", RetryLater("busy", after=asked)).changes[FORWARD, "a"].due_in
        for asked in (45.0, 3600.0)
    ]
    assert due == [45.0, 3600.0]


def test_a_retry_keeps_the_reason_and_counts() -> None:
    hand = Hand(flow(["a"]))
    draft = hand.do("a", RetryLater("503 from the partner"))
    row = hand.row("a")
    assert draft.changes[row.direction, "a"].error == "503 from the partner"
    assert (row.status, row.attempt, row.tries, row.in_doubt) == (StepStatus.READY, 1, 1, False)


def test_waiting_costs_no_try() -> None:
    saga = flow([simple("a", retry=Retry(attempts=2))])
    answers = [Wait(60.0)] * 10 + [_BUSY, None]
    given(saga, Payload()).when("a", *answers).expect("succeeded", calls=["do a"] * 12)


def test_not_applied_is_no_answer_for_an_action() -> None:
    given(flow([simple("a", retry=Retry(attempts=2))]), Payload()).when("a", NotApplied()).expect(
        "compensated", calls=["do a", "do a"]
    )


# --- optional steps ------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [Refused("no"), _BUSY])
@pytest.mark.parametrize("after_pivot", [False, True])
def test_an_optional_step_that_gives_up_does_not_stop_the_run(
    answer: Any, after_pivot: bool
) -> None:
    optional = simple("b", optional=True, retry=Retry(attempts=2))
    first = pivot(simple("a")) if after_pivot else simple("a")
    scenario = given(flow([first, optional, "c"]), Payload()).when("b", answer)
    scenario.expect("succeeded", done=["a", "c"])
    assert scenario.view.steps[FORWARD, "b"].status is StepStatus.FAILED


def test_an_optional_step_that_surely_did_nothing_is_not_undone() -> None:
    saga = flow(["a", simple("b", optional=True), "c"])
    given(saga, Payload()).when("b", Refused("no")).when("c", Refused("no")).expect(
        "compensated", undone=["a"]
    )


def test_an_optional_step_that_was_done_is_undone() -> None:
    saga = flow(["a", simple("b", optional=True), "c"])
    given(saga, Payload()).when("c", Refused("no")).expect("compensated", undone=["b", "a"])


def test_a_doubtful_optional_step_is_undone_if_its_compensation_tolerates_nothing() -> None:
    optional = simple("b", optional=True, idempotent=False, undo={"tolerates_nothing": True})
    given(flow(["a", optional, "c"]), Payload()).when("b", Unknown("reset")).when(
        "c", Refused("no")
    ).expect("compensated", undone=["b", "a"])


def test_a_doubtful_optional_step_needs_a_person_once_the_run_turns_back() -> None:
    optional = simple("b", optional=True, idempotent=False)
    scenario = given(flow(["a", optional, "c"]), Payload())
    scenario.when("b", Unknown("reset")).when("c", Refused("no"))
    scenario.expect("needs_attention", undone=[])
    assert "'b' happened" in scenario.view.attention


def test_a_doubtful_optional_step_does_not_stop_a_run_that_goes_on() -> None:
    optional = simple("b", optional=True, idempotent=False)
    given(flow(["a", optional, "c"]), Payload()).when("b", Unknown("reset")).expect(
        "succeeded", done=["a", "c"]
    )


# --- conditional steps ---------------------------------------------------------------------


def only_number(name: str, number: int) -> Step:
    return simple(name, when=lambda run: run.payload.number == number)


def test_a_step_whose_condition_does_not_hold_is_skipped() -> None:
    saga = flow([only_number("a", 1), "b", only_number("c", 2), only_number("d", 1)])
    given(saga, Payload(number=2)).expect("succeeded", done=["b", "c"], skipped=["a", "d"])


def test_a_skipped_step_is_not_undone() -> None:
    saga = flow(["a", only_number("b", 1), "c"])
    given(saga, Payload()).when("c", Refused("no")).expect("compensated", undone=["a"])


def test_whole_branches_may_be_skipped() -> None:
    saga = flow(["a", fork([only_number("b", 1), only_number("c", 1)], "d"), "e"])
    given(saga, Payload()).expect("succeeded", done=["a", "d", "e"], skipped=["b", "c"])


def test_a_run_of_skipped_steps_has_succeeded() -> None:
    saga = flow([only_number("a", 1), fork(only_number("b", 1), only_number("c", 1))])
    given(saga, Payload()).expect("succeeded", calls=[], skipped=["a", "b", "c"])


def test_a_condition_sees_the_results_so_far() -> None:
    saga = flow(["a", simple("b", when=lambda run: run.results["a"] == {"risk": "high"})])
    given(saga, Payload()).when("a", {"risk": "high"}).expect("succeeded", done=["a", "b"])
    given(saga, Payload()).when("a", {"risk": "low"}).expect("succeeded", skipped=["b"])


def test_a_condition_that_raises_needs_a_person() -> None:
    saga = flow(["a", simple("b", when=lambda run: bool(1 / 0))])
    scenario = given(saga, Payload()).expect("needs_attention", calls=["do a"], done=["a"])
    assert scenario.view.attention == "The condition of step 'b' raised zero division error."


def test_a_condition_is_asked_once() -> None:
    asked: list[str] = []

    def holds(step: Step) -> bool:
        asked.append(step.name)
        return True

    hand = Hand(flow(["a", simple("b", when=lambda run: True)]), holds=holds)
    hand.do("a", Done())
    hand.do("b", _BUSY)
    hand.do("b", Done())
    assert asked == ["b"]
    assert hand.view.status is RunStatus.SUCCEEDED


# --- after the pivot -----------------------------------------------------------------------


def test_a_refused_pivot_turns_the_run_back() -> None:
    saga = flow(["a", pivot(simple("p")), "b"])
    given(saga, Payload()).when("p", Refused("declined")).expect(
        "compensated", calls=["do a", "do p", "undo a"], undone=["a"]
    )


def test_a_busy_step_after_the_pivot_is_tried_for_ever() -> None:
    saga = flow(["a", pivot(simple("p")), "b"])
    given(saga, Payload()).when("b", *[_BUSY] * 500, None).expect("succeeded", undone=[])


def test_a_step_refused_after_the_pivot_needs_a_person_and_undoes_nothing() -> None:
    scenario = given(flow(["a", pivot(simple("p")), "b"]), Payload()).when("b", Refused("no"))
    scenario.expect("needs_attention", undone=[], done=["a", "p"])
    assert scenario.view.attention == "'b' gave up after the pivot: no."
    assert scenario.view.halt is Halt.NONE


# --- compensations -------------------------------------------------------------------------


def test_a_refused_compensation_needs_a_person() -> None:
    scenario = given(flow(["a", "b", "c"]), Payload()).when("c", Refused("no"))
    scenario.when_undoing("b", Refused("already shipped")).expect("needs_attention", undone=[])
    assert scenario.view.attention == "'undo of b' gave up: already shipped."
    assert scenario.calls == ["do a", "do b", "do c", "undo b"]


def test_a_compensation_has_its_own_budget() -> None:
    step = simple("a", retry=Retry(attempts=1), undo={"retry": Retry(attempts=3)})
    saga = flow([step, "b"])
    scenario = given(saga, Payload()).when("b", Refused("no"))
    scenario.when_undoing("a", _BUSY).expect(
        "needs_attention", calls=["do a", "do b", "undo a", "undo a", "undo a"]
    )


def test_a_compensation_of_unknown_outcome_is_repeated_with_the_same_key() -> None:
    scenario = given(flow(["a", "b"]), Payload()).when("b", Refused("no"))
    scenario.when_undoing("a", Unknown("reset"), Unknown("reset"), None)
    scenario.expect("compensated", calls=["do a", "do b", *["undo a"] * 3])


def test_a_compensation_is_repeated_even_if_its_step_is_not_idempotent() -> None:
    saga = flow([simple("a", idempotent=False), "b"])
    scenario = given(saga, Payload()).when("b", Refused("no"))
    scenario.when_undoing("a", Unknown("reset"), None).expect("compensated", undone=["a"])


def test_a_harmless_step_is_not_undone() -> None:
    saga = flow(["a", simple("b", harmless=True), "c"])
    given(saga, Payload()).when("c", Refused("no")).expect("compensated", undone=["a"])


def test_the_time_limit_of_a_compensation_is_its_own() -> None:
    step = simple("a", timeout=5, undo={"timeout": 50})
    assert (plan.time_limit(step, FORWARD), plan.time_limit(step, BACKWARD)) == (5, 50)

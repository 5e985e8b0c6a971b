"""Scenarios: what a saga's author says about answers, and expects of the run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from sagas.api import NotApplied, Refused, Retry, RetryLater, Unknown, Wait, wait_for, wait_until
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.errors import PayloadInvalid
from sagas.states import Direction
from sagas.testing import Done, given
from tests.sagas.flows import Payload, flow, fork, pivot, simple, verified

SAGA = flow(["a", verified("b"), pivot(simple("c")), "d"])


def test_unscripted_steps_are_done() -> None:
    given(SAGA, Payload()).expect("succeeded", calls=["do a", "do b", "do c", "do d"])


def test_a_payload_may_be_plain_data_and_is_checked() -> None:
    given(SAGA, {"number": 7}).expect("succeeded")
    with pytest.raises(PayloadInvalid, match="number"):
        given(SAGA, {"number": "many"})


def test_answers_are_given_one_a_call_and_the_last_for_ever() -> None:
    saga = flow([simple("a", retry=Retry(attempts=9))])
    given(saga, Payload()).when("a", RetryLater("1"), RetryLater("2"), None).expect(
        "succeeded", calls=["do a"] * 3
    )
    given(saga, Payload()).when("a", RetryLater("always")).expect("compensated", calls=["do a"] * 9)


def test_answers_may_be_added_bit_by_bit() -> None:
    scenario = given(SAGA, Payload()).when("a", RetryLater("1")).when("a", None)
    scenario.expect("succeeded", calls=["do a", "do a", "do b", "do c", "do d"])


def test_verify_and_undo_have_answers_of_their_own() -> None:
    given(SAGA, Payload()).when("b", Unknown("reset"), None).when_verifying("b", NotApplied()).when(
        "c", Refused("no")
    ).when_undoing("a", RetryLater("busy"), None).expect(
        "compensated",
        calls=["do a", "do b", "verify b", "do b", "do c", "undo b", "undo a", "undo a"],
        done=["a", "b"],
        undone=["b", "a"],
    )


class Receipt(BaseModel):
    number: int


def _pay(run: Any) -> Receipt: ...  # type: ignore[empty-body]


def test_results_reach_later_steps_as_their_types() -> None:
    seen: list[Any] = []

    def ask(run: Any) -> bool:
        seen.append(run.results["pay"])
        return True

    saga = Definition(
        "flow",
        payload=Payload,
        steps=[Step("pay", _pay, harmless=True), simple("b", when=ask)],
    )
    for answer in (Receipt(number=7), {"number": 7}):
        given(saga, Payload()).when("pay", answer).expect("succeeded")
    assert seen == [Receipt(number=7)] * 2


def test_a_result_that_does_not_fit_is_the_scenarios_mistake() -> None:
    saga = Definition("flow", payload=Payload, steps=[Step("pay", _pay, harmless=True)])
    with pytest.raises(ValueError, match="number"):
        given(saga, Payload()).when("pay", {"number": "many"}).play()


def test_done_may_be_said_explicitly() -> None:
    given(SAGA, Payload()).when("a", Done()).expect("succeeded")


def test_time_passes_by_itself() -> None:
    saga = flow([wait_until("night", lambda run: timedelta(hours=8)), "a"])
    scenario = given(saga, Payload()).expect("succeeded")
    assert scenario.view.clock.hour == 8


def test_retries_and_waits_of_branches_are_taken_in_the_order_of_time() -> None:
    saga = flow([fork(simple("a"), simple("b"))])
    given(saga, Payload()).when("a", Wait(50.0), None).when(
        "b", Wait(10.0), Wait(10.0), None
    ).expect("succeeded", calls=["do a", "do b", "do b", "do b", "do a"])


def test_signals_are_found_by_those_who_wait() -> None:
    saga = flow([wait_for("paid", timeout=timedelta(days=1)), "a"])
    given(saga, Payload()).signal("paid", 7).expect("succeeded")
    given(saga, Payload()).expect("compensated")
    given(saga, Payload()).signal("other").expect("compensated")


def test_a_cancel_after_a_step_turns_the_run_back() -> None:
    given(SAGA, Payload()).cancelled_after("a").expect(
        "compensated", calls=["do a", "undo a"], undone=["a"]
    )


def test_a_cancel_after_the_pivot_changes_nothing() -> None:
    given(SAGA, Payload()).cancelled_after("c").expect("succeeded", undone=[])


def test_expectations_that_hold_can_be_chained_and_play_once() -> None:
    scenario = given(SAGA, Payload())
    scenario.expect("succeeded").expect("succeeded", done=["a", "b", "c", "d"])
    assert scenario.calls == ["do a", "do b", "do c", "do d"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "compensated"},
        {"status": "succeeded", "calls": ["do a"]},
        {"status": "succeeded", "done": []},
        {"status": "succeeded", "undone": ["a"]},
        {"status": "succeeded", "skipped": ["a"]},
    ],
)
def test_an_expectation_that_does_not_hold_tells_the_story(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError) as caught:
        given(SAGA, Payload()).expect(**wrong)
    assert "expected" in str(caught.value)
    assert "do a\n  do b\n  do c\n  do d\n  → succeeded" in str(caught.value)


def test_the_story_of_a_parked_run_says_why() -> None:
    scenario = given(SAGA, Payload()).when("d", Refused("no"))
    with pytest.raises(AssertionError, match="→ needs_attention 'd' gave up after the pivot: no"):
        scenario.expect("succeeded")


def test_a_status_that_does_not_exist_is_no_expectation() -> None:
    with pytest.raises(ValueError, match="finished"):
        given(SAGA, Payload()).expect("finished")


@pytest.mark.parametrize("verb", ["when", "when_verifying", "when_undoing", "cancelled_after"])
def test_a_step_that_does_not_exist_is_named(verb: str) -> None:
    with pytest.raises(LookupError, match=r"no step 'x'; it has \['a', 'b', 'c', 'd'\]"):
        getattr(given(SAGA, Payload()), verb)("x")


def test_a_run_that_never_ends_is_stopped() -> None:
    scenario = given(SAGA, Payload()).when("d", RetryLater("busy"))
    with pytest.raises(AssertionError, match=r"does not end: .*do d"):
        scenario.play()


def test_nothing_of_one_scenario_is_left_in_the_next() -> None:
    given(SAGA, Payload()).when("a", Refused("no")).expect("compensated")
    given(SAGA, Payload()).expect("succeeded")


def test_the_view_can_be_looked_at() -> None:
    scenario = given(SAGA, Payload(), key="order:7").when("c", Refused("no")).play()
    assert scenario.view.business_key == "order:7"
    assert [row.name for row in scenario.view.rows(Direction.BACKWARD)] == ["a", "b"]

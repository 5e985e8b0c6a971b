"""The planner: steps that wait end by a signal or by time, and are never in doubt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sagas.define.outcome import Done, NotAsked, Refused, RetryLater, Unknown, Wait
from sagas.define.step import wait_for, wait_until
from sagas.states import RunStatus, StepStatus
from sagas.testing import given
from tests.sagas.define.hand import FORWARD, Hand
from tests.sagas.flows import Payload, flow, fork, pivot, simple

_HOUR = timedelta(hours=1)


def test_a_signal_that_came_before_goes_on_at_once_with_its_payload() -> None:
    saga = flow(["a", wait_for("paid", timeout=_HOUR), "b"])
    scenario = given(saga, Payload()).signal("paid", {"amount": 7})
    scenario.expect("succeeded", done=["a", "paid", "b"])
    assert scenario.view.steps[FORWARD, "paid"].result == '{"amount":7}'


def test_a_signal_that_never_comes_turns_the_run_back() -> None:
    saga = flow(["a", wait_for("paid", timeout=_HOUR), "b"])
    given(saga, Payload()).expect("compensated", undone=["a"])


def test_or_lets_it_go_on_with_nothing() -> None:
    waits = wait_for("paid", timeout=_HOUR, on_timeout="continue")
    remind = simple("remind", when=lambda run: run.results["paid"] is None)
    given(flow(["a", waits, remind]), Payload()).expect(
        "succeeded", done=["a", "paid", "remind"], skipped=[]
    )


def test_a_wait_says_what_it_waits_for_and_how_long() -> None:
    hand = Hand(flow([wait_for("paid", timeout=_HOUR)]))
    draft = hand.do("paid", Wait(3600.0, "paid", "order:1"))
    change = draft.changes[FORWARD, "paid"]
    assert (change.row.status, change.due_in) == (StepStatus.WAITING, 3600.0)
    assert (change.row.signal, change.row.correlation) == ("paid", "order:1")
    assert draft.to_send == []
    assert change.row.tries == 0


def test_a_signal_makes_a_waiting_step_due() -> None:
    hand = Hand(flow([wait_for("paid", timeout=_HOUR), "b"]))
    hand.do("paid", Wait(3600.0, "paid", "k"))
    draft = hand.signal("paid")
    assert hand.states() == {"paid": "waiting", "b": "pending"}
    assert draft.to_send == [hand.row("paid")]
    assert not draft.moves_run


def test_a_step_forgets_its_signal_when_it_is_settled_and_not_before() -> None:
    hand = Hand(flow(["a", "b"]))
    hand.do("a", Wait(None, "paid", "k"))
    hand.signal("a")
    for outcome in (RetryLater("busy"), Unknown("reset"), NotAsked("open")):
        hand.do("a", outcome)
        assert (hand.row("a").signal, hand.row("a").correlation) == ("paid", "k")
    hand.do("a", Done())
    assert (hand.row("a").signal, hand.row("a").correlation) == ("", "")


def test_a_step_whose_signal_came_before_it_waited_is_claimed_at_once() -> None:
    hand = Hand(flow(["a", "b"]), carries=True)
    draft = hand.answer("a", Wait(0.0, "paid", "k"))
    assert draft.claimed is hand.row("a")
    assert (hand.row("a").attempt, hand.row("a").tries) == (2, 1)


def test_a_step_whose_signal_came_before_it_waited_is_sent_to_another_worker() -> None:
    hand = Hand(flow(["a", "b"]))
    draft = hand.do("a", Wait(0.0, "paid", "k"))
    assert (draft.claimed, draft.to_send) == (None, [hand.row("a")])


def test_a_signal_for_a_run_that_needs_a_person_is_kept() -> None:
    waits = wait_for("paid", timeout=_HOUR, on_timeout="continue")
    hand = Hand(flow([pivot(simple("p")), fork([waits, "b"], "c")]))
    hand.do("p", Done())
    hand.do("paid", Wait(3600.0, "paid", "k"))
    hand.do("c", Refused("no"))
    draft = hand.signal("paid")
    assert hand.row("paid").needs_worker
    assert hand.view.status is RunStatus.NEEDS_ATTENTION
    assert not draft.moves_run


def test_a_wait_until_a_time_ends_by_itself() -> None:
    saga = flow(["a", wait_until("cool-down", lambda run: _HOUR), "b"])
    scenario = given(saga, Payload()).expect(
        "succeeded", calls=["do a", "do cool-down", "do cool-down", "do b"]
    )
    assert scenario.view.clock.hour == 1


def test_after_the_pivot_a_wait_may_take_its_time() -> None:
    waits = wait_for("delivered", timeout=_HOUR, on_timeout="continue")
    given(flow([pivot(simple("p")), waits, "b"]), Payload()).expect(
        "succeeded", done=["p", "delivered", "b"]
    )


def test_other_branches_go_on_while_one_waits() -> None:
    hand = Hand(flow([fork([wait_for("paid", timeout=_HOUR), "b"], ["c", "d"]), "e"]))
    hand.do("paid", Wait(3600.0, "paid", "k"))
    hand.do("c", Done())
    hand.do("d", Done())
    assert hand.states()["e"] == "pending"
    assert hand.view.status is RunStatus.RUNNING


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_wait_whose_worker_died_is_in_no_doubt(cancelled: bool) -> None:
    hand = Hand(flow([wait_for("paid", timeout=_HOUR), "b"]))
    hand.claim("paid")
    if cancelled:
        hand.cancel()
    draft = hand.lose("paid")
    assert not hand.row("paid").in_doubt
    if cancelled:
        assert hand.view.status is RunStatus.COMPENSATED
    else:
        assert draft.claimed is hand.row("paid")


def test_a_wait_that_times_out_is_refused_once() -> None:
    hand = Hand(flow(["a", wait_for("paid", timeout=_HOUR), "b"]))
    hand.do("a", Done())
    hand.do("paid", Wait(3600.0, "paid", "k"))
    hand.do("paid", Refused("no 'paid' within 1:00:00"))
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states()["paid"] == "failed"

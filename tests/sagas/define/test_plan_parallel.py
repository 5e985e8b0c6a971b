"""The planner: branches side by side, their joins, and what one branch's failure does to others."""

from __future__ import annotations

import pytest

from sagas.define.outcome import Done, NotApplied, Outcome, Refused, RetryLater, Unknown, Wait
from sagas.states import RunStatus
from sagas.testing import given
from tests.sagas.define.hand import BACKWARD, Hand
from tests.sagas.flows import Payload, flow, fork, pivot, simple, verified

_TOLERANT = {"tolerates_nothing": True}


def names(hand: Hand) -> list[str]:
    """The steps that the last move made ready to be sent."""
    return [row.name for row in hand.last.to_send]


def test_a_fork_makes_the_first_step_of_every_branch_ready() -> None:
    hand = Hand(flow(["a", fork(["b", "c"], "d"), "e"]))
    hand.do("a", Done())
    assert names(hand) == ["b", "d"]


def test_a_saga_may_begin_and_end_with_a_fork() -> None:
    hand = Hand(flow([fork("a", "b")]))
    assert names(hand) == ["a", "b"]
    status = [str(hand.view.status)]
    for step in ("a", "b"):
        hand.do(step, Done())
        status.append(str(hand.view.status))
    assert status == ["pending", "running", "succeeded"]


def test_the_step_after_a_join_is_made_ready_once_by_the_last_branch() -> None:
    hand = Hand(flow([fork(["a", "b"], "c"), "d"]))
    for step in ("a", "b"):
        hand.do(step, Done())
    assert hand.states()["d"] == "pending"
    hand.do("c", Done())
    assert names(hand) == ["d"]
    ready = [e for draft in hand.drafts for e in draft.events if (e.step, e.new) == ("d", "ready")]
    assert len(ready) == 1


def test_nested_blocks_join_from_the_inside() -> None:
    hand = Hand(flow([fork(["a", fork("b", "c"), "d"], "e"), "f"]))
    hand.do("e", Done())
    hand.do("a", Done())
    hand.do("c", Done())
    assert hand.states()["d"] == "pending"
    hand.do("b", Done())
    assert names(hand) == ["d"]
    hand.do("d", Done())
    assert names(hand) == ["f"]


def test_a_worker_takes_one_branch_and_leaves_the_others_to_be_sent() -> None:
    hand = Hand(flow(["a", fork("b", "c", "d")]), carries=True)
    draft = hand.answer("a", Done())
    assert draft.claimed is hand.row("b")
    assert names(hand) == ["c", "d"]


def test_a_worker_that_ends_a_branch_does_not_take_what_another_branch_has_sent() -> None:
    hand = Hand(flow(["a", fork("b", "c"), "d"]), carries=True)
    hand.answer("a", Done())
    draft = hand.answer("b", Done())
    assert draft.claimed is None
    assert draft.to_send == []


def test_the_branch_that_joins_goes_on_in_the_same_worker() -> None:
    hand = Hand(flow(["a", fork("b", "c"), "d"]), carries=True)
    hand.answer("a", Done())
    hand.answer("b", Done())
    hand.claim("c")
    assert hand.answer("c", Done()).claimed is hand.row("d")


# --- one branch fails ----------------------------------------------------------------------


def test_a_branch_that_fails_calls_off_what_has_not_begun() -> None:
    hand = Hand(flow(["z", fork("a", "b", ["c", "d"])]))
    hand.do("z", Done())
    hand.do("a", Refused("no"))
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states() == {
        "z": "succeeded",
        "a": "failed",
        "b": "pending",
        "c": "pending",
        "d": "pending",
    }
    assert names(hand) == ["z"]


@pytest.mark.parametrize("pause", [RetryLater("busy", after=50), Wait(50.0)])
def test_a_sibling_in_backoff_or_waiting_is_called_off(pause: Outcome) -> None:
    hand = Hand(flow([fork("a", "b"), "c"]))
    hand.do("b", pause)
    hand.do("a", Refused("no"))
    assert hand.states()["b"] == "pending"
    assert hand.view.status is RunStatus.COMPENSATED
    assert hand.states(BACKWARD) == {}


def test_a_sibling_in_flight_is_waited_for_and_then_undone() -> None:
    hand = Hand(flow([fork("a", ["b", "c"])]))
    hand.claim("b")
    hand.do("a", Refused("no"))
    assert (hand.view.status, hand.states(BACKWARD)) == (RunStatus.RUNNING, {})
    hand.answer("b", Done())
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states(BACKWARD) == {"b": "ready"}
    assert hand.states()["c"] == "pending"


def test_a_sibling_that_dies_in_flight_is_waited_for_until_its_lease_lapses() -> None:
    hand = Hand(flow([fork("a", verified("b"))]))
    hand.claim("b")
    hand.do("a", Refused("no"))
    hand.lose("b")
    assert hand.view.status is RunStatus.RUNNING
    hand.answer("b", Done())  # verify: it had happened
    assert hand.states(BACKWARD) == {"b": "ready"}


@pytest.mark.parametrize(
    ("verdict", "undone"), [(Done(), ["b"]), (NotApplied(), []), (Unknown("?"), None)]
)
def test_a_sibling_in_doubt_is_found_out_first(verdict: Outcome, undone: list[str] | None) -> None:
    hand = Hand(flow(["z", fork("a", verified("b"))]))
    hand.do("z", Done())
    hand.do("b", Unknown("reset"))
    hand.do("a", Refused("no"))
    assert hand.view.status is RunStatus.RUNNING
    hand.do("b", verdict)
    if undone is None:
        assert hand.view.status is RunStatus.RUNNING  # it will be asked again
    else:
        assert list(hand.states(BACKWARD)) == ["z", *undone]


def test_a_sibling_in_doubt_without_a_verify_is_undone_if_that_tolerates_nothing() -> None:
    hand = Hand(flow([fork("a", simple("b", undo=_TOLERANT))]))
    hand.do("b", Unknown("reset"))
    hand.do("a", Refused("no"))
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states(BACKWARD) == {"b": "ready"}


def test_else_it_needs_a_person() -> None:
    hand = Hand(flow([fork("a", "b")]))
    hand.do("b", Unknown("reset"))
    hand.do("a", Refused("no"))
    assert hand.view.status is RunStatus.NEEDS_ATTENTION
    assert hand.states(BACKWARD) == {}


def test_two_branches_that_fail_turn_the_run_back_once() -> None:
    hand = Hand(flow([fork("a", "b")]))
    hand.claim("a")
    hand.claim("b")
    hand.answer("a", Refused("no"))
    hand.answer("b", Refused("no, too"))
    assert hand.view.status is RunStatus.COMPENSATED
    assert hand.view.epoch == 2


def test_a_join_is_not_passed_by_a_run_that_halts() -> None:
    hand = Hand(flow([fork("a", "b"), "c"]))
    hand.claim("a")
    hand.claim("b")
    hand.cancel()
    hand.answer("a", Done())
    hand.answer("b", Done())
    assert hand.states()["c"] == "pending"
    assert hand.view.status is RunStatus.COMPENSATING


# --- after the pivot -----------------------------------------------------------------------


def test_a_branch_refused_after_the_pivot_parks_the_run_and_its_siblings_answers_are_kept() -> None:
    hand = Hand(flow([pivot(simple("p")), fork(["a", "x"], ["b", "y"]), "c"]))
    hand.do("p", Done())
    hand.claim("b")
    hand.do("a", Refused("no"))
    assert hand.view.status is RunStatus.NEEDS_ATTENTION
    draft = hand.answer("b", Done())
    assert hand.states()["b"] == "succeeded"
    assert draft.claimed is None
    assert draft.to_send == []
    assert hand.states()["y"] == "pending"


def test_nothing_is_claimed_while_a_run_needs_a_person() -> None:
    hand = Hand(flow([pivot(simple("p")), fork("a", "b")]))
    hand.do("p", Done())
    hand.do("a", Refused("no"))
    assert not hand.claim("b")
    assert hand.states()["b"] == "ready"


def test_a_second_reason_for_a_person_is_logged_beside_the_first() -> None:
    hand = Hand(flow([pivot(simple("p")), fork("a", "b")]))
    hand.do("p", Done())
    hand.claim("a")
    hand.claim("b")
    hand.answer("a", Refused("no"))
    hand.answer("b", Refused("no, too"))
    assert hand.view.attention == "'a' gave up after the pivot: no."
    assert "'b' gave up" in hand.last.events[-1].data["reason"]


# --- undoing branches ----------------------------------------------------------------------


def test_branches_are_undone_side_by_side_each_in_reverse() -> None:
    hand = Hand(flow(["z", fork(["a", "b"], "c"), "d"]))
    for step in "zabc":
        hand.do(step, Done())
    hand.do("d", Refused("no"))
    assert sorted(names(hand)) == ["b", "c"]
    hand.do("c", Done(), BACKWARD)
    assert names(hand) == []
    hand.do("b", Done(), BACKWARD)
    assert names(hand) == ["a"]
    hand.do("a", Done(), BACKWARD)
    assert names(hand) == ["z"]
    hand.do("z", Done(), BACKWARD)
    assert hand.view.status is RunStatus.COMPENSATED


def test_a_compensation_that_gives_up_parks_the_run_and_siblings_answers_are_kept() -> None:
    hand = Hand(flow(["z", fork("a", "b"), "c"]))
    for step in "zab":
        hand.do(step, Done())
    hand.do("c", Refused("no"))
    hand.claim("a", BACKWARD)
    hand.claim("b", BACKWARD)
    hand.answer("a", Refused("409"), BACKWARD)
    assert hand.view.status is RunStatus.NEEDS_ATTENTION
    hand.answer("b", Done(), BACKWARD)
    assert hand.states(BACKWARD) == {"z": "pending", "a": "failed", "b": "succeeded"}
    assert hand.view.status is RunStatus.NEEDS_ATTENTION


def test_on_paper_branches_play_to_the_end() -> None:
    saga = flow(["a", fork(["b", "c"], ["d", fork("e", "f")]), pivot(simple("g")), "h"])
    given(saga, Payload()).expect("succeeded", done=list("abcdefgh"))
    given(saga, Payload()).when("g", Refused("no")).expect("compensated", done=list("abcdef"))

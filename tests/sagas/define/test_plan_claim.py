"""The planner: what a worker may take, and what becomes of attempts whose worker was lost."""

from __future__ import annotations

import pytest

from sagas.define import plan
from sagas.define.backoff import Retry
from sagas.define.outcome import Done, NotApplied, Refused, RetryLater, Unknown
from sagas.define.plan import Worker
from sagas.define.step import Step
from sagas.states import Direction, RunStatus, StepStatus
from tests.sagas.define.hand import BACKWARD, FORWARD, Hand
from tests.sagas.flows import flow, fork, pivot, simple, verified

_TOLERANT = {"tolerates_nothing": True}


def test_a_claim_counts_and_starts_the_run() -> None:
    hand = Hand(flow(["a"]))
    draft = hand.claim("a")
    row = hand.row("a")
    assert (row.status, row.attempt, row.tries) == (StepStatus.IN_FLIGHT, 1, 1)
    assert hand.view.status is RunStatus.RUNNING
    assert draft.claimed is row
    assert draft.changes[FORWARD, "a"].time_limit == 30.0


@pytest.mark.parametrize("name", ["b", "stranger"])
def test_a_step_whose_turn_has_not_come_cannot_be_claimed(name: str) -> None:
    hand = Hand(flow(["a", "b"]))
    draft = plan.claim(hand.saga, hand.view, name, FORWARD, Worker(lambda *_: True, lambda _: True))
    assert not draft


def test_a_step_that_is_not_due_cannot_be_claimed() -> None:
    hand = Hand(flow(["a"]))
    hand.do("a", RetryLater("busy", after=50))
    draft = plan.claim(hand.saga, hand.view, "a", FORWARD, Worker(lambda *_: True, lambda _: True))
    assert not draft


def test_a_step_in_flight_or_done_cannot_be_claimed_again() -> None:
    hand = Hand(flow(["a", "b"]))
    hand.claim("a")
    assert not hand.claim("a")
    hand.answer("a", Done())
    assert not hand.claim("a")
    assert hand.row("a").attempt == 1


def test_an_answer_ends_a_row_of_losses() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=9))]))
    hand.claim("a")
    hand.lose("a")
    hand.lose("a")
    assert hand.row("a").losses == 2
    hand.answer("a", RetryLater("busy"))
    assert hand.row("a").losses == 0


# --- carrying on ---------------------------------------------------------------------------


def test_what_a_worker_may_carry_is_asked_with_the_step_and_its_direction() -> None:
    asked: list[tuple[str, Direction]] = []

    def carries(step: Step, way: Direction) -> bool:
        asked.append((step.name, way))
        return step.name == "b"

    hand = Hand(flow(["a", "b", "c"]))
    hand.claim("a")
    draft = plan.settle(
        hand.saga, hand.view, hand.row("a"), Done(), Worker(carries, lambda step: True)
    )
    assert draft.claimed is hand.row("b")
    draft = plan.settle(
        hand.saga, hand.view, hand.row("b"), Refused("no"), Worker(carries, lambda step: True)
    )
    assert draft.claimed is None
    assert asked == [("b", FORWARD), ("a", BACKWARD)]


def test_a_retry_without_a_pause_is_carried_too() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=3, base=0.0))]), carries=True)
    draft = hand.answer("a", RetryLater("busy"))
    assert draft.claimed is hand.row("a")
    assert hand.row("a").attempt == 2


def test_a_retry_with_a_pause_is_not_carried() -> None:
    hand = Hand(flow(["a"]), carries=True)
    draft = hand.answer("a", RetryLater("busy", after=3))
    assert draft.claimed is None
    assert draft.to_send == []


def test_a_step_that_turned_out_not_applied_is_carried() -> None:
    hand = Hand(flow([verified("a")]), carries=True)
    hand.answer("a", Unknown("reset"))
    draft = hand.do("a", NotApplied())
    assert draft.claimed is hand.row("a")
    assert not hand.row("a").in_doubt


# --- lost workers --------------------------------------------------------------------------


def test_a_lost_attempt_is_in_doubt_and_its_step_is_verified() -> None:
    hand = Hand(flow([verified("a")]))
    hand.claim("a")
    draft = hand.lose("a")
    row = hand.row("a")
    assert (row.attempt, row.tries, row.probes, row.losses) == (2, 1, 1, 1)
    assert row.in_doubt
    assert plan.probing(hand.saga.steps["a"], row)
    assert draft.events[-1].data == {"took_over": True, "verify": True}


def test_without_a_verify_it_is_repeated() -> None:
    hand = Hand(flow(["a"]))
    hand.claim("a")
    draft = hand.lose("a")
    row = hand.row("a")
    assert (draft.claimed, row.attempt, row.tries) == (row, 2, 2)
    assert row.in_doubt
    hand.answer("a", Done())
    assert hand.view.status is RunStatus.SUCCEEDED


def test_what_is_not_idempotent_is_not_repeated_by_another_worker() -> None:
    hand = Hand(flow([simple("a", idempotent=False)]))
    hand.claim("a")
    draft = hand.lose("a")
    assert draft.claimed is None
    assert hand.states()["a"] == "unknown"
    assert hand.view.attention == (
        "Nobody can tell whether 'a' happened: the worker was lost before it answered."
    )


def test_but_undone_if_its_compensation_tolerates_nothing() -> None:
    hand = Hand(flow([simple("a", idempotent=False, undo=_TOLERANT)]))
    hand.claim("a")
    hand.lose("a")
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states(BACKWARD) == {"a": "ready"}


def test_a_lost_try_was_a_try() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=1))]))
    hand.claim("a")
    hand.lose("a")
    assert hand.view.status is RunStatus.NEEDS_ATTENTION


def test_a_lost_atomic_step_surely_did_nothing_and_is_done_again() -> None:
    hand = Hand(flow([simple("a", atomic=True, idempotent=False)]))
    hand.claim("a")
    draft = hand.lose("a")
    assert draft.claimed is hand.row("a")
    assert not hand.row("a").in_doubt


def test_but_not_in_a_run_that_turns_back() -> None:
    hand = Hand(flow(["z", simple("a", atomic=True), "b"]))
    hand.do("z", Done())
    hand.claim("a")
    hand.cancel()
    draft = hand.lose("a")
    assert draft.claimed is None
    assert hand.view.status is RunStatus.COMPENSATING
    assert hand.states()["a"] == "pending"
    assert hand.states(BACKWARD) == {"z": "ready"}


def test_a_lost_compensation_is_repeated_also_if_its_step_is_not_idempotent() -> None:
    hand = Hand(flow([simple("a", idempotent=False), "b"]))
    hand.do("a", Done())
    hand.do("b", Refused("no"))
    hand.claim("a", BACKWARD)
    draft = hand.lose("a", BACKWARD)
    assert draft.claimed is hand.row("a", BACKWARD)


def test_a_lost_compensation_without_a_try_left_needs_a_person() -> None:
    hand = Hand(flow([simple("a", undo={"retry": Retry(attempts=1)}), "b"]))
    hand.do("a", Done())
    hand.do("b", Refused("no"))
    hand.claim("a", BACKWARD)
    hand.lose("a", BACKWARD)
    assert hand.view.attention == ("'undo of a' gave up: the worker was lost before it answered.")


def test_a_worker_lost_in_a_verify_is_followed_by_another_verify() -> None:
    hand = Hand(flow([verified("a", verify_retry=Retry(attempts=2))]))
    hand.do("a", Unknown("reset"))
    hand.claim("a")
    hand.lose("a")
    row = hand.row("a")
    assert (row.tries, row.probes) == (1, 2)
    hand.answer("a", NotApplied())
    assert hand.states()["a"] == "ready"


def test_a_cancelled_run_does_not_repeat_a_lost_step_but_asks_a_person() -> None:
    hand = Hand(flow(["a", "b"]))
    hand.claim("a")
    hand.cancel()
    draft = hand.lose("a")
    assert draft.claimed is None
    assert hand.view.status is RunStatus.NEEDS_ATTENTION


def test_a_cancelled_run_still_verifies_a_lost_step() -> None:
    hand = Hand(flow([verified("a"), "b"]))
    hand.claim("a")
    hand.cancel()
    assert hand.lose("a").claimed is hand.row("a")
    hand.answer("a", NotApplied())
    assert hand.view.status is RunStatus.COMPENSATING or hand.view.over


def test_a_pivot_whose_worker_was_lost_is_verified_before_anything_is_undone() -> None:
    hand = Hand(flow(["a", pivot(verified("p")), "b"]))
    hand.do("a", Done())
    hand.claim("p")
    hand.cancel()
    hand.lose("p")
    hand.answer("p", Done())
    assert hand.view.status is RunStatus.RUNNING
    assert hand.states()["b"] == "ready"


# --- poison --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "then"),
    [(simple("a"), "unknown"), (verified("a"), "unknown"), (simple("a", atomic=True), "failed")],
)
def test_a_step_that_keeps_killing_its_workers_needs_a_person(step: Step, then: str) -> None:
    hand = Hand(flow([step]), poison=3)
    hand.claim("a")
    hand.lose("a")
    hand.lose("a")
    draft = hand.lose("a")
    assert draft.claimed is None
    assert hand.view.attention == "3 attempts of 'a' died without an answer."
    assert hand.states()["a"] == then  # nobody holds it, so that a person may decide


def test_so_does_a_compensation() -> None:
    hand = Hand(flow(["a", "b"]), poison=2)
    hand.do("a", Done())
    hand.do("b", Refused("no"))
    hand.claim("a", BACKWARD)
    hand.lose("a", BACKWARD)
    hand.lose("a", BACKWARD)
    assert hand.view.attention == "2 attempts of 'undo of a' died without an answer."


def test_poison_in_one_branch_leaves_the_answers_of_others() -> None:
    hand = Hand(flow([fork("a", "b")]), poison=1)
    hand.claim("a")
    hand.claim("b")
    hand.lose("a")
    assert hand.view.status is RunStatus.NEEDS_ATTENTION
    hand.answer("b", Done())
    assert hand.states()["b"] == "succeeded"

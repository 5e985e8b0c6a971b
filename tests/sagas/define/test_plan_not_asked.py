"""The planner: a partner that was not even asked costs no attempt, to do, verify or undo."""

from __future__ import annotations

import pytest

from sagas.define.backoff import Retry
from sagas.define.outcome import Done, NotApplied, NotAsked, Outcome, Refused, RetryLater, Unknown
from sagas.define.step import Step
from sagas.states import RunStatus, StepStatus
from sagas.testing import given
from tests.sagas.define.hand import BACKWARD, FORWARD, Hand
from tests.sagas.flows import Payload, flow, pivot, simple, verified

_OPEN = NotAsked("BreakerOpen: payments", after=20.0)
_BUSY = RetryLater("busy")


def test_it_waits_as_long_as_it_is_told_and_says_of_whom_and_why() -> None:
    hand = Hand(flow([simple("a", partner="bank")]))
    change = hand.do("a", _OPEN).changes[FORWARD, "a"]
    assert 20.0 <= (change.due_in or 0) <= 24.0
    assert change.error == "BreakerOpen: payments"
    assert (change.row.status, change.row.tries) == (StepStatus.WAITING, 0)
    (event,) = hand.last.events
    assert event.data == {"reason": "BreakerOpen: payments", "not_asked": "bank"}


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(None, 5, 6), (0.0, 1, 1.2), (-1.0, 1, 1.2), (1e9, 300, 360)]
)
def test_it_comes_back_neither_at_once_nor_never(
    asked: float | None, least: float, most: float
) -> None:
    hand = Hand(flow([simple("a", retry=Retry(base=0.0, cap=0.0))]), carries=True)
    due_in = hand.do("a", NotAsked("open", asked)).changes[FORWARD, "a"].due_in
    assert least <= (due_in or 0) <= most
    assert hand.last.claimed is None


def test_those_who_were_turned_away_together_do_not_come_back_together() -> None:
    hand = Hand(flow(["a"]))
    dues = {hand.do("a", _OPEN).changes[FORWARD, "a"].due_in for _ in range(20)}
    assert len(dues) == 20


def test_however_often_it_is_not_asked_every_try_is_left() -> None:
    saga = flow([simple("a", retry=Retry(attempts=2))])
    answers = [_OPEN] * 10 + [_BUSY] + [_OPEN] * 10
    given(saga, Payload()).when("a", *answers, None).expect("succeeded", calls=["do a"] * 22)
    given(saga, Payload()).when("a", *answers, _BUSY).expect("compensated", calls=["do a"] * 22)


def test_a_compensation_waits_likewise() -> None:
    step = simple("a", undo={"retry": Retry(attempts=1)})
    scenario = given(flow([step, "b"]), Payload()).when("b", Refused("no"))
    scenario.when_undoing("a", *[_OPEN] * 5, None).expect(
        "compensated", calls=["do a", "do b", *["undo a"] * 6]
    )


def test_so_does_a_step_after_the_pivot_and_an_optional_one() -> None:
    for last in (simple("b"), simple("b", optional=True, retry=Retry(attempts=1))):
        scenario = given(flow([pivot(simple("a")), last]), Payload())
        scenario.when("b", *[_OPEN] * 5, None).expect("succeeded", done=["a", "b"])


@pytest.mark.parametrize("verdict", [Done(), NotApplied()])
def test_what_may_have_happened_stays_unknown_and_its_verify_spends_nothing(
    verdict: Outcome,
) -> None:
    saga = flow([verified("a", partner="bank", verify_retry=Retry(attempts=1))])
    hand = Hand(saga)
    hand.do("a", Unknown("reset"))
    for _ in range(5):
        hand.do("a", _OPEN)
        row = hand.row("a")
        assert (row.status, row.in_doubt, row.probes, row.tries) == ("unknown", True, 0, 1)
    hand.do("a", verdict)
    if hand.row("a").status is StepStatus.READY:
        hand.do("a", Done())
    assert hand.view.status is RunStatus.SUCCEEDED


def test_so_it_does_when_it_is_repeated_with_the_same_key() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=2))]))
    hand.do("a", Unknown("reset"))
    for _ in range(5):
        hand.do("a", _OPEN)
        row = hand.row("a")
        assert (row.status, row.in_doubt, row.tries) == ("unknown", True, 1)
    hand.do("a", Done())
    assert hand.view.status is RunStatus.SUCCEEDED


def test_a_step_at_which_workers_die_is_not_excused_by_it() -> None:
    hand = Hand(flow(["a"]), poison=3)
    for _ in range(2):
        hand.claim("a")
        hand.lose("a")
        hand.answer("a", _OPEN)
    hand.claim("a")
    hand.lose("a")
    assert hand.view.status is RunStatus.NEEDS_ATTENTION


def test_a_run_that_waits_for_its_partner_turns_back_when_it_is_cancelled() -> None:
    hand = Hand(flow(["a", "b"]))
    hand.do("a", Done())
    hand.do("b", _OPEN)
    hand.cancel()
    assert hand.states(BACKWARD) == {"a": "ready"}
    hand.do("a", _OPEN, BACKWARD)
    assert hand.states(BACKWARD) == {"a": "waiting"}
    hand.do("a", Done(), BACKWARD)
    assert hand.view.status is RunStatus.COMPENSATED


def test_or_when_its_deadline_passes() -> None:
    hand = Hand(flow(["a", "b"]))
    hand.do("a", Done())
    hand.do("b", _OPEN)
    hand.pass_deadline()
    hand.claim("b")
    assert hand.view.status is RunStatus.COMPENSATING


# --- the time budget -----------------------------------------------------------------------


def brief(total: float = 10.0) -> Hand:
    """A run whose first step has been tried for eight of its ten seconds."""
    step: Step = simple("a", retry=Retry(attempts=None, base=0.0, total=total))
    hand = Hand(flow([step]))
    hand.do("a", _BUSY)
    hand.row("a").elapsed = 8.0
    return hand


def test_time_in_which_its_partner_was_not_asked_is_not_of_its_total() -> None:
    hand = brief()
    hand.do("a", _OPEN)
    hand.row("a").elapsed += 20.0
    hand.do("a", _BUSY)
    assert hand.states() == {"a": "ready"}
    hand.row("a").elapsed += 10.0
    hand.do("a", _BUSY)
    assert hand.states() == {"a": "failed"}


def test_nor_is_time_in_which_it_was_due_and_nobody_took_it() -> None:
    hand = brief()
    row = hand.row("a")
    row.elapsed, row.free_in = 68.0, -60.0
    assert hand.take("a")
    hand.answer("a", _BUSY)
    assert hand.states() == {"a": "ready"}


def test_time_before_its_first_try_was_none_of_it_anyway() -> None:
    hand = Hand(flow([simple("a", retry=Retry(attempts=None, base=0.0, total=10.0))]))
    hand.row("a").free_in = -60.0
    assert hand.take("a")
    assert hand.row("a").waited == 0.0


def test_nor_does_the_total_end_while_it_is_not_asked() -> None:
    hand = brief()
    for _ in range(20):
        hand.do("a", _OPEN)
        hand.row("a").elapsed += 20.0
    assert hand.states() == {"a": "waiting"}


def test_with_another_key_its_time_begins_anew() -> None:
    hand = brief()
    hand.do("a", _OPEN)
    row = hand.row("a")
    row.renew_key()
    assert (row.generation, row.waited) == (2, 0.0)

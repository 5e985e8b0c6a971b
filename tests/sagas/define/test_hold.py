"""Which holds stop a step, and that the planner takes nothing that they stop."""

from __future__ import annotations

from uuid import UUID

import pytest

from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.hold import covering, names, reach
from sagas.define.outcome import Done, NotApplied, Refused, RetryLater
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.states import Direction, Halt, RunStatus, StepStatus
from tests.sagas.define.hand import BACKWARD, FORWARD, Hand
from tests.sagas.flows import flow, fork, simple, verified

_RUN = UUID(int=1)
_WORKER = Worker(lambda step, way: True, lambda step: True, default_queue="main")
_PAYS = simple("pay", queue="slow", partner="bank")
_SAGA = flow([simple("a"), _PAYS])
#: One hold of each kind that stops the step ``pay``.
_KINDS = [f"run:{_RUN}", "saga:flow", "queue:slow", "partner:bank"]


def a_view(*holds: str, saga: Definition = _SAGA) -> RunView:
    return RunView(_RUN, saga.name, 1, saga.fingerprint, "key", "{}", holds=frozenset(holds))


def hand_at(*holds: str, saga: Definition = _SAGA) -> Hand:
    """A run whose first step is ready, and that is held."""
    hand = Hand(saga)
    hand.view.holds = frozenset(holds)
    return hand


def claimed(hand: Hand, name: str, way: Direction = FORWARD) -> Draft:
    hand.row(name, way).free_in = 0
    return plan.claim(hand.saga, hand.view, name, way, _WORKER)


# --- what a hold covers --------------------------------------------------------------------


@pytest.mark.parametrize("hold", _KINDS)
def test_a_hold_of_each_kind_covers_its_steps(hold: str) -> None:
    assert covering(a_view(hold, "queue:else"), _PAYS, "main") == {hold}


@pytest.mark.parametrize(
    "hold",
    [
        f"run:{UUID(int=2)}",
        "saga:flow-2",
        "queue:main",
        "partner:inventory",
        "partner:slow",
        "queue:bank",
        "saga:bank",
    ],
)
def test_a_hold_on_something_else_covers_nothing(hold: str) -> None:
    assert not covering(a_view(hold), _PAYS, "main")


def test_a_step_that_names_no_queue_goes_to_the_default_one_and_has_no_partner() -> None:
    step = _SAGA.steps["a"]
    assert covering(a_view("queue:main", "queue:slow"), step, "main") == {"queue:main"}
    assert names(a_view(), step, "main") == {f"run:{_RUN}", "saga:flow", "queue:main"}


def test_a_hold_on_a_queue_or_a_partner_reaches_steps_of_several_sagas() -> None:
    other = flow([simple("b", partner="bank"), "c"], name="other", version=2)
    assert reach("partner", "bank", [_SAGA, other], "main") == [
        ("flow", 1, "pay"),
        ("other", 2, "b"),
    ]
    assert reach("queue", "main", [_SAGA, other], "main") == [
        ("flow", 1, "a"),
        ("other", 2, "b"),
        ("other", 2, "c"),
    ]
    assert reach("queue", "slow", [_SAGA, other], "main") == [("flow", 1, "pay")]


def test_a_partner_may_change_under_a_run() -> None:
    assert flow(["a"]).fingerprint == flow([simple("a", partner="bank")]).fingerprint


# --- what the planner makes of it ----------------------------------------------------------


@pytest.mark.parametrize("hold", _KINDS)
def test_a_step_that_is_held_is_not_claimed(hold: str) -> None:
    hand = hand_at(hold, saga=flow([_PAYS]))
    assert not claimed(hand, "pay")
    assert (hand.row("pay").status, hand.row("pay").attempt) == (StepStatus.READY, 0)
    hand.view.holds = frozenset()
    assert claimed(hand, "pay").claimed is hand.row("pay")


def test_an_attempt_that_was_lost_is_not_taken_over_while_its_step_is_held() -> None:
    hand = Hand(_SAGA)
    hand.claim("a")
    hand.view.holds = frozenset({"saga:flow"})
    assert not claimed(hand, "a")
    assert (hand.row("a").losses, hand.row("a").in_doubt) == (0, False)


def test_while_a_step_is_held_no_message_for_it_turns_its_run_back() -> None:
    hand = hand_at("queue:main")
    hand.pass_deadline()
    assert not claimed(hand, "a")
    assert (hand.view.status, hand.view.halt) == (RunStatus.PENDING, Halt.NONE)


@pytest.mark.parametrize("hold", _KINDS)
def test_an_answer_is_recorded_and_a_next_step_that_is_held_is_left_ready(hold: str) -> None:
    hand = Hand(_SAGA)
    hand.claim("a")
    hand.view.holds = frozenset({hold})
    draft = plan.settle(hand.saga, hand.view, hand.row("a"), Done("1"), _WORKER)
    assert draft.claimed is None
    assert hand.states() == {"a": "succeeded", "pay": "ready"}
    assert hand.row("a").result == "1"


def test_of_two_branches_the_one_that_is_not_held_is_carried() -> None:
    hand = Hand(flow(["z", fork(_PAYS, "b")]))
    hand.claim("z")
    hand.view.holds = frozenset({"partner:bank"})
    draft = plan.settle(hand.saga, hand.view, hand.row("z"), Done(), _WORKER)
    assert draft.claimed is hand.row("b")
    assert hand.states() == {"z": "succeeded", "pay": "ready", "b": "in_flight"}


def test_a_compensation_that_is_held_is_neither_carried_nor_claimed() -> None:
    hand = Hand(flow([_PAYS, "a"]))
    hand.do("pay", Done())
    hand.claim("a")
    hand.view.holds = frozenset({"partner:bank"})
    draft = plan.settle(hand.saga, hand.view, hand.row("a"), Refused("no"), _WORKER)
    assert (hand.view.status, draft.claimed) == (RunStatus.COMPENSATING, None)
    assert hand.states(BACKWARD) == {"pay": "ready"}
    assert not claimed(hand, "pay", BACKWARD)
    hand.view.holds = frozenset()
    assert claimed(hand, "pay", BACKWARD).claimed is hand.row("pay", BACKWARD)


def test_a_step_that_verify_cleared_is_not_called_at_once_if_it_is_held() -> None:
    hand = Hand(flow([verified("a", partner="bank")]))
    hand.claim("a")
    hand.lose("a")
    hand.view.holds = frozenset({"partner:bank"})
    draft = plan.settle(hand.saga, hand.view, hand.row("a"), NotApplied(), _WORKER)
    assert (draft.claimed, hand.states()) == (None, {"a": "ready"})


def test_a_draft_names_every_hold_that_would_forbid_its_claim() -> None:
    hand = Hand(flow([_PAYS, "a"]))
    draft = claimed(hand, "pay")
    assert draft.unless == set(_KINDS)
    draft = plan.settle(hand.saga, hand.view, hand.row("pay"), Done(), _WORKER)
    assert draft.claimed is hand.row("a")
    assert draft.unless == {f"run:{_RUN}", "saga:flow", "queue:main"}


def test_a_retry_of_a_held_step_is_scheduled_as_ever() -> None:
    hand = Hand(_SAGA)
    hand.claim("a")
    hand.view.holds = frozenset({"saga:flow"})
    draft = plan.settle(hand.saga, hand.view, hand.row("a"), RetryLater("busy", 9.0), _WORKER)
    assert draft.changes[FORWARD, "a"].due_in == 9.0

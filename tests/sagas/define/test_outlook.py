"""What is said of a verb before it is confirmed is what the planner does afterwards."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.define import intervene, plan
from sagas.define.outcome import Done, Refused
from sagas.define.outlook import Outlook, outlook
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.states import ACTIVE_RUNS, Halt, RunStatus, StepStatus
from tests.sagas.define.random_sagas import random_saga
from tests.sagas.define.test_preview import (
    BACKWARD,
    FORWARD,
    WORKER,
    claimed,
    done,
    new,
    parked,
    played,
    undone,
)
from tests.sagas.flows import flow, pivot, simple


def cancelled(saga: Definition, view: RunView) -> Outlook:
    plan.halt(saga, view, Halt.CANCELLED, WORKER)
    return outlook(saga, view)


def stages(seen: Outlook) -> list[set[str]]:
    assert seen.undo is not None
    return [{undo.step for undo in stage} for stage in seen.undo.stages]


def test_a_cancelled_run_undoes_what_happened_and_says_what_has_nothing_to_undo() -> None:
    saga = flow(["a", simple("look", harmless=True), "b", "z"])
    seen = cancelled(saga, done(saga, new(saga), "a", "look", "b"))
    assert stages(seen) == [{"b"}, {"a"}]
    assert seen.undo is not None
    assert [(left.step, left.why) for left in seen.undo.kept] == [
        ("look", "harmless: there is nothing to undo")
    ]
    assert (seen.stopped, seen.undo.unless) == ((), "")


def test_a_run_of_which_nothing_has_begun_ends_at_once() -> None:
    saga = flow(["a", "b"])
    seen = cancelled(saga, new(saga))
    assert (seen.status, seen.undo, seen.stays) == (RunStatus.COMPENSATED, None, ())


def test_a_pivot_in_flight_may_make_it_too_late() -> None:
    saga = flow(["a", pivot(simple("p")), "z"])
    view = done(saga, new(saga), "a")
    claimed(saga, view, "p")
    seen = cancelled(saga, view)
    assert seen.undo is not None
    assert (seen.undo.unless, stages(seen)) == ("p", [{"a"}])
    [first] = seen.undo.first
    assert first.step == "p"
    assert "nothing is undone" in first.why


@pytest.mark.parametrize(("harmless", "too"), [(True, False), (False, True)])
def test_a_step_in_flight_is_awaited_and_undone_if_it_can_be(harmless: bool, too: bool) -> None:
    saga = flow(["a", simple("b", harmless=harmless), "z"])
    view = done(saga, new(saga), "a")
    claimed(saga, view, "b")
    seen = cancelled(saga, view)
    assert seen.undo is not None
    [first] = seen.undo.first
    assert first.why.startswith("in flight: its answer is awaited")
    assert ("undone too" in first.why) is too


def test_a_doubt_that_nobody_can_settle_is_told_as_what_stops_the_run() -> None:
    saga = flow(["a", simple("b", idempotent=False), "z"])
    view = done(saga, new(saga), "a")
    row = claimed(saga, view, "b")
    row.status, row.in_doubt = StepStatus.WAITING, True
    seen = cancelled(saga, view)
    assert seen.status is RunStatus.NEEDS_ATTENTION
    assert [reason.startswith("Nobody can tell whether 'b'") for reason in seen.stopped] == [True]
    assert seen.undo is not None
    assert [left.step for left in seen.undo.first] == ["b"]


def test_what_a_skipped_compensation_leaves_is_named() -> None:
    saga = flow(["a", "b", "c"])
    view = done(saga, new(saga), "a", "b")
    intervene.compensate(saga, parked(view), WORKER)
    row = claimed(saga, view, "b", BACKWARD)
    plan.settle(saga, view, row, Refused("no"), WORKER)
    intervene.skip(saga, view, "undo of b", None, WORKER)
    seen = outlook(saga, view)
    assert stages(seen) == [{"a"}]
    assert seen.undo is not None
    assert [left.step for left in seen.undo.kept] == ["b"]
    assert "what it did stays" in seen.undo.kept[0].why


def test_a_run_that_is_closed_leaves_what_happened_and_what_may_have() -> None:
    saga = flow(["a", pivot(simple("p")), "z", simple("tell", harmless=True)])
    view = done(saga, new(saga), "a", "p")
    row = claimed(saga, view, "z")
    row.status, row.in_doubt = StepStatus.UNKNOWN, True
    intervene.resolve(parked(view))
    seen = outlook(saga, view)
    assert (seen.status, seen.undo) == (RunStatus.RESOLVED, None)
    assert [(left.step, left.why) for left in seen.stays] == [
        ("a", "it happened and stays: the point of no return was passed"),
        ("p", "it is the point of no return"),
        ("z", "it may have happened, and nobody finds out"),
    ]
    assert [left.step for left in outlook(None, view).stays] == ["a", "p", "z"]


def test_a_run_that_goes_forward_undoes_nothing() -> None:
    saga = flow([pivot(simple("p")), "b", "z"])
    view = done(saga, new(saga), "p")
    plan.settle(saga, view, claimed(saga, view, "b"), Refused("no"), WORKER)
    intervene.skip(saga, view, "b", None, WORKER)
    assert outlook(saga, view) == Outlook(RunStatus.RUNNING)


# --- against the planner -------------------------------------------------------------------


def compare(saga: Definition, view: RunView, dice: random.Random) -> str:
    """What a cancelled run undoes must be what was said. Gives what became of it."""
    if view.status not in ACTIVE_RUNS[FORWARD] or plan.past_pivot(saga, view):
        return "refused"
    seen = cancelled(saga, view)
    if seen.undo is None:
        assert view.over
        return "ended"
    late = set()
    for row in [r for r in view.rows(FORWARD) if r.status is StepStatus.IN_FLIGHT]:
        happens = dice.random() < 0.5
        late |= {row.name} if happens or row.in_doubt else set()
        plan.settle(saga, view, row, Done("null") if happens else Refused("no"), WORKER)
    if plan.past_pivot(saga, view):
        assert seen.undo.unless
        return "too late"
    if view.status is RunStatus.NEEDS_ATTENTION:
        assert seen.undo.first
        return "stopped"
    if any(r.awaits for r in view.rows(FORWARD)):  # what is in doubt is still found out
        assert seen.undo.first
        return "found out first"
    told = [name for stage in stages(seen) for name in stage]
    happened = [name for stage in undone(saga, view) for name in stage]
    assert set(told) <= set(happened) <= set(told) | late
    assert not late & set(told)
    assert late <= {left.step for left in seen.undo.first}
    if not late:
        assert [set(stage) for stage in stages(seen)] == _grouped(happened, stages(seen))
    return "undone too" if late else "undone"


def _grouped(names: list[str], into: list[set[str]]) -> list[set[str]]:
    """The same names in their order, cut to the lengths of the stages."""
    rest = iter(names)
    return [{next(rest) for _ in stage} for stage in into]


def running(saga: Definition, dice: random.Random) -> RunView:
    """A run anywhere on its way."""
    return played(saga, dice, stop=False)


@settings(max_examples=400, deadline=None)
@given(st.integers(min_value=0, max_value=2**64))
def test_cancelling_does_what_was_said(seed: int) -> None:
    dice = random.Random(seed)
    saga = random_saga(dice)
    compare(saga, running(saga, dice), dice)


def test_every_way_of_cancelling_is_met() -> None:
    seen: Counter[str] = Counter()
    for seed in range(600):
        dice = random.Random(seed)
        saga = random_saga(dice)
        seen[compare(saga, running(saga, dice), dice)] += 1
    ways = ("refused", "ended", "too late", "stopped", "undone", "undone too")
    assert all(seen[way] for way in ways), seen

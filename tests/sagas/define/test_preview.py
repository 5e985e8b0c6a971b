from __future__ import annotations

import random
from collections import Counter
from copy import deepcopy
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.define import intervene, plan
from sagas.define.draft import Draft
from sagas.define.outcome import Done, Outcome, Refused, RetryLater, Unknown
from sagas.define.plan import Worker
from sagas.define.preview import Preview, undo_preview
from sagas.define.saga import Definition, Node, Parallel, walk
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.errors import VerbRefused
from sagas.states import ACTIVE_RUNS, Direction, Halt, RunStatus, StepStatus
from tests.sagas.define.random_sagas import random_saga
from tests.sagas.flows import flow, fork, pivot, simple

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
WORKER = Worker(carries=lambda step, direction: False, holds=lambda step: True)


def new(saga: Definition) -> RunView:
    view = RunView(UUID(int=1), saga.name, saga.version, saga.fingerprint, "key", "{}")
    plan.begin(saga, view, WORKER)
    return view


def claimed(saga: Definition, view: RunView, name: str, way: Direction = FORWARD) -> StepView:
    view.steps[way, name].free_in = 0
    draft = plan.claim(saga, view, name, way, WORKER)
    assert draft.claimed is not None
    return draft.claimed


def done(saga: Definition, view: RunView, *names: str, way: Direction = FORWARD) -> RunView:
    """Let steps happen, in this order."""
    for name in names:
        plan.settle(saga, view, claimed(saga, view, name, way), Done("null"), WORKER)
    return view


def parked(view: RunView) -> RunView:
    Draft(view).park("for a test")
    return view


def names(preview: Preview) -> list[list[str]]:
    return [[undo.step for undo in stage] for stage in preview.stages]


def test_what_happened_is_undone_in_reverse_order() -> None:
    saga = flow(["a", "b", "c"])
    preview = undo_preview(saga, done(saga, new(saga), "a", "b"))
    assert names(preview) == [["b"], ["a"]]
    assert (preview.refusal, preview.first, preview.kept) == ("", (), ())


def test_branches_are_undone_side_by_side() -> None:
    saga = flow(["a", fork(["b", "c"], "d"), "e"])
    preview = undo_preview(saga, done(saga, new(saga), "a", "b", "c", "d"))
    assert names(preview) == [["c", "d"], ["b"], ["a"]]


def test_a_compensation_is_named_and_says_what_it_does() -> None:
    step = Step("a", lambda run: None)

    @step.compensate
    def give_back(run: object) -> None:
        """Give it back.

        All of it.
        """

    saga = flow([step, "b"])
    [[undo]] = undo_preview(saga, done(saga, new(saga), "a")).stages
    assert (undo.compensation, undo.says, undo.doubtful) == ("give_back", "Give it back.", False)


def test_past_the_pivot_nothing_is_undone_and_what_happened_stays() -> None:
    saga = flow(["a", pivot(simple("p", harmless=True)), simple("z", harmless=True)])
    preview = undo_preview(saga, done(saga, new(saga), "a", "p"))
    assert preview.refusal.startswith("It has passed its pivot, p")
    assert preview.stages == ()
    assert [left.step for left in preview.kept] == ["a", "p"]


def test_what_is_harmless_is_kept_and_said_so() -> None:
    saga = flow(["a", simple("look", harmless=True), "c"])
    preview = undo_preview(saga, done(saga, new(saga), "a", "look"))
    assert names(preview) == [["a"]]
    assert [(left.step, left.why) for left in preview.kept] == [
        ("look", "harmless: there is nothing to undo")
    ]


@pytest.mark.parametrize("status", [StepStatus.IN_FLIGHT, StepStatus.UNKNOWN])
def test_an_open_question_comes_first(status: StepStatus) -> None:
    saga = flow(["a", "b", "c"])
    view = done(saga, new(saga), "a")
    row = claimed(saga, view, "b")
    if status is StepStatus.UNKNOWN:
        plan.settle(saga, view, row, Unknown("lost"), WORKER)
    preview = undo_preview(saga, view)
    assert [left.step for left in preview.first] == ["b"]
    assert names(preview) == [["a"]]


def test_what_may_have_happened_is_undone_where_the_compensation_tolerates_nothing() -> None:
    saga = flow(["a", simple("b", undo={"tolerates_nothing": True}, idempotent=False), "c"])
    view = done(saga, new(saga), "a")
    row = claimed(saga, view, "b")
    row.status, row.in_doubt = StepStatus.FAILED, True
    preview = undo_preview(saga, parked(view))
    assert names(preview) == [["b"], ["a"]]
    assert [[undo.doubtful for undo in stage] for stage in preview.stages] == [[True], [False]]


def test_a_run_that_turns_back_already_shows_what_is_still_to_come() -> None:
    saga = flow(["a", "b", "c"])
    view = done(saga, new(saga), "a", "b")
    intervene.compensate(saga, parked(view), WORKER)
    done(saga, view, "b", way=BACKWARD)
    row = claimed(saga, view, "a", BACKWARD)
    assert names(undo_preview(saga, view)) == [["a"]]
    plan.settle(saga, view, row, Refused("no"), WORKER)
    preview = undo_preview(saga, view)
    assert names(preview) == [["a"]]
    assert [left.step for left in preview.first] == ["a"]


@pytest.mark.parametrize("steps", [[], ["a"]])
def test_a_run_that_is_over_is_not_undone(steps: list[str]) -> None:
    saga = flow(["a"])
    view = new(saga)
    if steps:
        done(saga, view, *steps)
    else:
        plan.halt(saga, view, Halt.CANCELLED, WORKER)
    preview = undo_preview(saga, view)
    assert preview.refusal.startswith("The run is over")
    assert [left.step for left in preview.kept] == steps


# --- against the planner and the verb ------------------------------------------------------


def played(saga: Definition, dice: random.Random, *, stop: bool = True) -> RunView:
    """A run that was played to somewhere, and stopped there for a person."""
    view = new(saga)
    for _ in range(dice.randint(0, 14)):
        rows = [
            r for r in view.steps.values() if r.awaits and view.status in ACTIVE_RUNS[r.direction]
        ]
        if not rows:
            break
        row = dice.choice(rows)
        if row.status is StepStatus.IN_FLIGHT:
            plan.settle(saga, view, row, _answer(dice), WORKER)
        else:
            row.free_in = 0
            plan.claim(saga, view, row.name, row.direction, WORKER)
    if stop and view.status in (RunStatus.RUNNING, RunStatus.COMPENSATING):
        parked(view)
    return view


def _answer(dice: random.Random) -> Outcome:
    outcomes: list[Outcome] = [Done("null")] * 8
    return dice.choice([*outcomes, Refused("no"), RetryLater("later"), Unknown("lost")])


def undone(saga: Definition, view: RunView) -> list[set[str]]:
    """Undo a run for real, a stage at a time."""
    stages = []
    while view.status is RunStatus.COMPENSATING:
        stage = [r.name for r in view.rows(BACKWARD) if r.status is StepStatus.READY]
        stages.append(set(stage))
        done(saga, view, *stage, way=BACKWARD)
    return stages


def compare(saga: Definition, view: RunView) -> str:
    """What the verb does must be what the preview said. Gives what the verb did."""
    before = deepcopy(view)
    preview = undo_preview(saga, view)
    assert view == before, "a preview changes nothing"
    was_back = bool(view.rows(BACKWARD))
    try:
        intervene.compensate(saga, view, WORKER)
    except VerbRefused:
        assert preview.refusal or preview.first or was_back or not preview.stages
        return "refused"
    if view.status is RunStatus.NEEDS_ATTENTION:
        assert preview.first
        return "parked"
    assert not preview.refusal
    assert not preview.first
    assert [set(stage) for stage in names(preview)] == undone(saga, view)
    _in_reverse(saga.tree, [name for stage in names(preview) for name in stage])
    return "undone" if preview.stages else "nothing to undo"


def _in_reverse(nodes: tuple[Node, ...], order: list[str]) -> None:
    """What the tree alone says of the order: later nodes of a sequence come first."""
    groups = [{step.name for step in walk([node])} for node in nodes]
    for earlier, later in pairwise(groups):
        places = [order.index(name) for name in order if name in earlier]
        before = [order.index(name) for name in order if name in later]
        assert max(before, default=-1) < min(places, default=len(order))
    for node in nodes:
        for branch in node.branches if isinstance(node, Parallel) else ():
            _in_reverse(branch, order)


@settings(max_examples=400, deadline=None)
@given(st.integers(min_value=0, max_value=2**64))
def test_undoing_does_what_the_preview_said(seed: int) -> None:
    dice = random.Random(seed)
    saga = random_saga(dice)
    compare(saga, played(saga, dice))


def test_every_way_of_undoing_is_met() -> None:
    seen: Counter[str] = Counter()
    for seed in range(300):
        dice = random.Random(seed)
        saga = random_saga(dice)
        seen[compare(saga, played(saga, dice))] += 1
    assert all(seen[way] for way in ("refused", "parked", "undone", "nothing to undo")), seen

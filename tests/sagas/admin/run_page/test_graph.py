from __future__ import annotations

import random
from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.admin.run_page.boxes import KINDS
from sagas.admin.run_page.graph import Graph, Line, graph
from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.step import Kind, Step
from sagas.define.view import RunView, StepView
from sagas.states import Direction, RunStatus, StepStatus
from tests.sagas.define.random_sagas import random_saga
from tests.sagas.flows import flow, fork, pivot, simple

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
NOBODY = Worker(carries=lambda step, direction: False, holds=lambda step: True)


def new(saga: Definition) -> RunView:
    view = RunView(UUID(int=1), saga.name, saga.version, saga.fingerprint, "key", "{}")
    plan.begin(saga, view, NOBODY)
    return view


def drawn(saga: Definition) -> Graph:
    return graph(saga, new(saga))


def names(found: Graph) -> list[str]:
    return [" ".join(text.text for text in box.names) for box in found.boxes]


def overlap(found: Graph) -> bool:
    boxes = combinations(found.boxes, 2)
    return any(
        a.x < b.x + b.width
        and b.x < a.x + a.width
        and a.y < b.y + b.height
        and b.y < a.y + a.height
        for a, b in boxes
    )


def inside(found: Graph) -> bool:
    corners = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in found.boxes]
    return all(
        x >= 0 and y >= 0 and r <= found.width and b <= found.height for x, y, r, b in corners
    )


def arrows(found: Graph, css: str) -> list[Line]:
    return [line for line in found.lines if line.css == css]


def test_steps_follow_each_other_downwards_with_their_compensations_beneath() -> None:
    found = drawn(flow(["a", "b"]))
    assert names(found) == ["a", "↩ compensation", "b", "↩ compensation"]
    tops = [box.y for box in found.boxes]
    assert tops == sorted(tops)
    [way] = arrows(found, "way arrow")
    assert way.y2 == found.boxes[2].y > way.y1


def test_the_way_back_leads_upwards_from_compensation_to_compensation() -> None:
    found = drawn(flow(["a", simple("look", harmless=True), "c"]))
    [back] = arrows(found, "back arrow")
    first, last = found.boxes[1], found.boxes[4]
    assert (back.y1, back.y2) == (last.y, first.y + first.height)


def test_branches_stand_side_by_side() -> None:
    found = drawn(flow(["a", fork(["b", "c"], "d"), "e"]))
    tops = dict(zip(names(found), found.boxes, strict=True))
    assert tops["b"].y == tops["d"].y
    assert tops["b"].x + tops["b"].width < tops["d"].x
    assert tops["c"].y > tops["b"].y
    assert tops["e"].y > tops["c"].y


def test_the_line_of_a_pivot_at_the_end_is_inside_the_picture() -> None:
    found = drawn(flow(["a", pivot(simple("p", harmless=True))]))
    [height] = found.pivots
    assert found.boxes[-1].y + found.boxes[-1].height < height < found.height


def test_the_pivot_is_marked_and_nothing_behind_it_can_be_undone() -> None:
    found = drawn(flow(["a", pivot(simple("p", harmless=True)), simple("z", harmless=True)]))
    [height] = found.pivots
    above = [name for name, box in zip(names(found), found.boxes, strict=True) if box.y < height]
    assert above == ["a", "↩ compensation", "p"]
    assert "pivot" in found.boxes[2].css
    assert found.boxes[3].facts[1].text == "must succeed in the end"


def test_every_kind_is_told() -> None:
    assert set(KINDS) == set(Kind)


def test_what_is_special_about_a_step_is_told() -> None:
    special = simple("a", optional=True, when=lambda run: True, harmless=True)
    [box] = drawn(flow([special])).boxes
    assert box.facts[1].text == "harmless, optional, conditional"
    [wait] = drawn(flow([Step("w", lambda run: None, harmless=True, waits=True)])).boxes
    assert wait.facts[1].text == "harmless, waits"


@pytest.mark.parametrize("status", list(StepStatus))
def test_a_state_is_told_by_a_class_a_shape_and_a_word(status: StepStatus) -> None:
    saga = flow(["a"])
    view = new(saga)
    view.steps[FORWARD, "a"].status = status
    view.steps[FORWARD, "a"].attempt = 3
    forward, _ = graph(saga, view).boxes
    view.steps[BACKWARD, "a"] = StepView(None, "a", BACKWARD, 0, status=status)
    _, backward = graph(saga, view).boxes
    word = status.replace("_", " ")
    assert forward.facts[0].text.endswith(f" {word}, 3 attempts")
    assert backward.facts[0].text.endswith(f" {word}")
    assert f"is-{status.replace('_', '-')}" in forward.css.split()
    assert word in forward.title


def test_a_step_that_happened_is_undone_once_its_compensation_happened() -> None:
    saga = flow(["a"])
    view = new(saga)
    view.steps[FORWARD, "a"].status = StepStatus.SUCCEEDED
    for status in StepStatus:
        view.steps[BACKWARD, "a"] = StepView(None, "a", BACKWARD, 0, status=status)
        forward, _ = graph(saga, view).boxes
        undone = status is StepStatus.SUCCEEDED
        assert (forward.facts[0].text == "↩ undone") is undone
        assert ("is-undone" in forward.css.split()) is undone


def test_a_compensation_that_nobody_asked_for_says_so() -> None:
    saga = flow(["a"])
    assert graph(saga, new(saga)).boxes[1].facts[0].text == "not asked for"
    view = new(saga)
    view.status = RunStatus.SUCCEEDED
    assert graph(saga, view).boxes[1].facts[0].text == "not needed"


def test_without_the_code_the_rows_are_drawn_in_sequence() -> None:
    saga = flow(["a", fork("b", "c")])
    view = new(saga)
    view.steps[BACKWARD, "a"] = StepView(None, "a", BACKWARD, 0)
    found = graph(None, view)
    assert names(found) == ["a", "↩ undo", "b", "c"]
    assert len({box.x for box in found.boxes if "undo" not in box.css}) == 1
    assert inside(found)


def test_the_picture_says_in_words_how_far_the_run_is() -> None:
    saga = flow(["a", "b"])
    view = new(saga)
    view.steps[FORWARD, "a"].status = StepStatus.SUCCEEDED
    assert graph(saga, view).label.startswith(
        "The steps of flow: 1 of 2 are done, the run is pending."
    )


def test_a_long_name_breaks_between_its_words() -> None:
    [box] = drawn(flow([simple("open_master_account_with_clearing_house", harmless=True)])).boxes
    assert [text.text for text in box.names] == ["open_master_account_with_", "clearing_house"]


def test_a_name_as_long_as_it_may_be_stays_in_its_box() -> None:
    [box] = drawn(flow([simple("x" * 80, harmless=True)])).boxes
    assert len(box.names) == 2
    assert all(len(text.text) <= 32 for text in box.names)
    assert "x" * 80 in box.title


@pytest.mark.parametrize("count", [1, 200])
def test_one_step_and_two_hundred_fit(count: int) -> None:
    found = drawn(flow([f"s{number}" for number in range(count)]))
    assert len(found.boxes) == 2 * count
    assert inside(found)
    assert not overlap(found)
    assert found.width < 320


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0, max_value=2**64))
def test_no_two_boxes_overlap_and_all_are_inside(seed: int) -> None:
    saga = random_saga(random.Random(seed))
    found = drawn(saga)
    assert len([box for box in found.boxes if box.css.startswith("step")]) == len(saga.steps)
    assert inside(found)
    assert not overlap(found)


def test_a_draft_is_not_needed() -> None:
    """The graph only reads: what was parked stays as it was."""
    saga = flow(["a"])
    view = new(saga)
    Draft(view).park("why")
    before = repr(view)
    graph(saga, view)
    assert repr(view) == before

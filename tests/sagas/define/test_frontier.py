"""Whose turn it is, in both directions."""

from __future__ import annotations

from uuid import UUID

import pytest

from sagas.define.frontier import frontier, segment
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.states import Direction, StepStatus
from tests.sagas.flows import flow, fork, simple

_S = StepStatus
FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD


def a_view(saga: Definition, done: str, *, undone: str = "", **rows: StepStatus) -> RunView:
    """A run whose steps named in ``done`` have succeeded; those of ``undone`` were compensated."""
    view = RunView(UUID(int=1), saga.name, 1, saga.fingerprint, "k", "{}")
    for name, place in saga.order.items():
        status = rows.get(name, _S.SUCCEEDED if name in done else _S.PENDING)
        view.steps[FORWARD, name] = StepView(place, name, FORWARD, place, status)
        if undone and status is _S.SUCCEEDED:
            back = _S.SUCCEEDED if name in undone else _S.PENDING
            view.steps[BACKWARD, name] = StepView(100 + place, name, BACKWARD, place, back)
    return view


SAGA = flow(["a", fork(["b", "c"], ["d", fork("e", "f"), "g"]), "h"])


@pytest.mark.parametrize(
    ("done", "turn"),
    [
        ("", "a"),
        ("a", "bd"),
        ("ab", "cd"),
        ("abc", "d"),
        ("abd", "cef"),
        ("abcde", "f"),
        ("abcdef", "g"),
        ("abdefg", "c"),
        ("abcdefg", "h"),
        ("abcdefgh", ""),
    ],
)
def test_forward_a_block_is_left_when_every_branch_is_through(done: str, turn: str) -> None:
    assert [s.name for s in frontier(SAGA, a_view(SAGA, done), FORWARD)] == list(turn)


@pytest.mark.parametrize(
    ("done", "undone", "turn"),
    [
        ("abcdefgh", "-", "h"),
        ("abcdefgh", "h", "cg"),
        ("abcdefgh", "hc", "bg"),
        ("abcdefgh", "hcbg", "ef"),
        ("abcdefgh", "hcbgef", "d"),
        ("abcdefgh", "hcbgefd", "a"),
        ("abcdefgh", "hcbgefda", ""),
        ("ade", "-", "e"),
        ("ade", "e", "d"),
        ("ab", "-", "b"),
    ],
)
def test_backward_the_order_is_reversed(done: str, undone: str, turn: str) -> None:
    view = a_view(SAGA, done, undone=undone)
    assert [s.name for s in frontier(SAGA, view, BACKWARD)] == list(turn)


@pytest.mark.parametrize("status", list(StepStatus))
def test_only_settled_steps_are_passed(status: StepStatus) -> None:
    saga = flow(["a", "b"])
    turn = frontier(saga, a_view(saga, "", a=status), FORWARD)[0].name
    assert turn == ("b" if status in (_S.SUCCEEDED, _S.SKIPPED) else "a")


@pytest.mark.parametrize("status", list(StepStatus))
def test_an_optional_step_that_failed_is_passed_too(status: StepStatus) -> None:
    saga = flow([simple("a", optional=True), "b"])
    turn = frontier(saga, a_view(saga, "", a=status), FORWARD)[0].name
    assert turn == ("b" if status in (_S.SUCCEEDED, _S.SKIPPED, _S.FAILED) else "a")


def test_an_optional_step_whose_compensation_failed_is_not_passed() -> None:
    saga = flow(["a", simple("b", optional=True)])
    view = a_view(saga, "ab", undone="-")
    view.steps[BACKWARD, "b"].status = _S.FAILED
    assert [s.name for s in frontier(saga, view, BACKWARD)] == ["b"]


@pytest.mark.parametrize(
    ("done", "start", "steps"),
    [
        ("", "a", "a"),
        ("a", "b", "bc"),
        ("ab", "c", "c"),
        ("a", "d", "d"),
        ("adef", "g", "g"),
        ("ade", "f", "f"),
        ("abcdefg", "h", "h"),
    ],
)
def test_a_segment_ends_at_a_fork_and_at_the_end_of_its_branch(
    done: str, start: str, steps: str
) -> None:
    view = a_view(SAGA, done)
    found = segment(SAGA, view, FORWARD, SAGA.steps[start])
    assert [s.name for s in found] == list(steps)


def test_a_segment_goes_past_a_block_that_is_through() -> None:
    saga = flow(["a", fork("b", "c"), "d", "e"])
    found = segment(saga, a_view(saga, "bc"), FORWARD, saga.steps["a"])
    assert [s.name for s in found] == ["a", "d", "e"]


def test_a_segment_leaves_out_what_is_settled() -> None:
    saga = flow(["a", "b", "c", "d"])
    found = segment(saga, a_view(saga, "a", c=_S.SKIPPED), FORWARD, saga.steps["b"])
    assert [s.name for s in found] == ["b", "d"]


def test_a_backward_segment_holds_what_there_is_to_undo() -> None:
    saga = flow(["a", simple("b", harmless=True), "c", fork("d", "e"), "f"])
    view = a_view(saga, "abcdef", undone="-")
    del view.steps[BACKWARD, "b"]
    names = [s.name for s in segment(saga, view, BACKWARD, saga.steps["c"])]
    assert names == ["c", "a"]
    assert [s.name for s in segment(saga, view, BACKWARD, saga.steps["f"])] == ["f"]


def test_a_step_of_another_saga_has_no_segment() -> None:
    with pytest.raises(LookupError, match="z"):
        segment(SAGA, a_view(SAGA, ""), FORWARD, simple("z"))

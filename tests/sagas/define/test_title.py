"""What a step and its compensation are called, and which row answers to a name."""

from __future__ import annotations

from uuid import UUID

import pytest

from sagas.define.step import Step
from sagas.define.title import current, is_undo, plain, title
from sagas.define.view import RunView, StepView
from sagas.states import Direction, RunStatus
from tests.sagas.flows import flow


def refund(run: object) -> None:
    """Undo a payment."""


def paid(name: str) -> Step:
    step = Step(name, lambda run: None)
    step.compensate()(refund)
    return step


def undoing(*names: str) -> RunView:
    view = RunView(UUID(int=1), "flow", 1, "", "k", None, status=RunStatus.COMPENSATING)
    for direction in Direction:
        for number, name in enumerate(names):
            view.steps[direction, name] = StepView(None, name, direction, number)
    return view


def test_a_compensation_has_another_title_than_its_step_and_leads_back_to_it() -> None:
    assert title("collect", Direction.FORWARD) == "collect"
    called = title("collect", Direction.BACKWARD)
    assert (called, plain(called), is_undo(called)) == ("undo of collect", "collect", True)
    assert (plain("collect"), is_undo("collect")) == ("collect", False)


@pytest.mark.parametrize("called", ["collect", "undo of collect", "refund"])
def test_a_run_that_is_undone_finds_the_compensation_by_each_of_its_names(called: str) -> None:
    row = current(flow([paid("collect")]), undoing("collect"), called)
    assert row is not None
    assert (row.name, row.direction) == ("collect", Direction.BACKWARD)


def test_a_run_that_goes_forward_knows_no_compensation() -> None:
    view = undoing("collect")
    view.status = RunStatus.RUNNING
    saga = flow([paid("collect")])
    assert current(saga, view, "undo of collect") is None
    assert current(saga, view, "refund") is None


def test_a_compensation_of_several_steps_is_not_guessed_by_its_name() -> None:
    saga = flow([paid("collect"), paid("tip")])
    assert current(saga, undoing("collect", "tip"), "refund") is None


def test_the_name_of_a_step_comes_before_that_of_a_compensation() -> None:
    saga = flow([paid("collect"), paid("refund")])
    row = current(saga, undoing("collect", "refund"), "refund")
    assert row is not None
    assert row.name == "refund"


def test_without_the_code_a_compensation_is_found_by_its_title() -> None:
    view = undoing("collect")
    assert current(None, view, "undo of collect") is view.steps[Direction.BACKWARD, "collect"]
    assert current(None, view, "refund") is None

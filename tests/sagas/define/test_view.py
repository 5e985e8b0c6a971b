"""What the planner sees."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sagas.define.view import RunView, StepView
from sagas.states import Direction, StepStatus

_NOW = datetime(2030, 1, 1, tzinfo=UTC)


def a_view(**values: object) -> RunView:
    return RunView(UUID(int=7), "flow", 1, "f", "k", "{}", **values)  # type: ignore[arg-type]


def a_row(status: StepStatus = StepStatus.READY, **values: object) -> StepView:
    return StepView(1, "a", Direction.FORWARD, 0, status, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", list(StepStatus))
def test_only_what_is_due_or_lost_needs_a_worker(status: StepStatus) -> None:
    claimable = {StepStatus.READY, StepStatus.UNKNOWN, StepStatus.WAITING, StepStatus.IN_FLIGHT}
    assert a_row(status, free_in=0.0).needs_worker is (status in claimable)
    assert a_row(status, free_in=-9.0).needs_worker is (status in claimable)
    assert not a_row(status, free_in=0.1).needs_worker
    assert not a_row(status).needs_worker


def test_the_key_is_the_same_for_every_attempt() -> None:
    view = a_view()
    assert view.key_of(a_row(attempt=1)) == view.key_of(a_row(attempt=9, tries=4))


def test_the_key_differs_by_run_step_direction_and_generation() -> None:
    rows = [
        a_row(),
        StepView(1, "b", Direction.FORWARD, 0),
        StepView(1, "a", Direction.BACKWARD, 0),
        StepView(1, "a", Direction.FORWARD, 0, generation=2),
    ]
    keys = {a_view().key_of(row) for row in rows}
    other = RunView(UUID(int=8), "flow", 1, "f", "k", "{}").key_of(rows[0])
    assert len(keys | {other}) == 5


def test_the_clock_is_the_databases_time_plus_the_views_age() -> None:
    view = a_view(now=_NOW)
    view.read_at = time.monotonic() - 100
    assert timedelta(seconds=100) <= view.clock - _NOW < timedelta(seconds=110)


def test_a_deadline_passes_while_a_view_ages() -> None:
    view = a_view(now=_NOW, deadline=_NOW + timedelta(seconds=50))
    assert not view.overdue
    view.read_at -= 60
    assert view.overdue


def test_a_run_without_a_deadline_is_never_overdue() -> None:
    assert not a_view(now=_NOW).overdue


def test_time_goes_on_while_an_attempt_works() -> None:
    """A long call must count towards the step's total budget."""
    view = a_view(now=_NOW)
    first, again = a_row(attempt=1), a_row(attempt=2, elapsed=7.0)
    first.since = 20.0  # claimed for the first time when the view was 20 s old
    view.read_at = time.monotonic() - 50
    assert view.elapsed(first) == pytest.approx(30.0, abs=1)
    assert view.elapsed(again) == pytest.approx(57.0, abs=1)
    assert view.elapsed(a_row()) == 0.0


def test_moves_on_a_copy_leave_the_view_as_it_is() -> None:
    view = a_view(now=_NOW)
    row = a_row()
    view.steps[row.direction, row.name] = row
    other = view.copy()
    assert other == view
    other.steps[row.direction, row.name].status = StepStatus.FAILED
    other.steps.clear()
    assert view.steps == {(row.direction, row.name): a_row()}

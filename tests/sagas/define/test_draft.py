"""Moves: what the tables allow, and what is listed for the writer."""

from __future__ import annotations

from itertools import product
from uuid import UUID

import pytest

from sagas.define.draft import Draft
from sagas.define.view import RunView, StepView
from sagas.errors import IllegalMove
from sagas.states import RUN_MOVES, STEP_MOVES, Direction, RunStatus, StepStatus


def a_draft(status: RunStatus = RunStatus.RUNNING) -> Draft:
    return Draft(RunView(UUID(int=1), "flow", 1, "f", "k", "{}", status=status))


def a_row(draft: Draft, name: str, status: StepStatus) -> StepView:
    row = StepView(None, name, Direction.FORWARD, 0, status, attempt=3)
    draft.view.steps[Direction.FORWARD, name] = row
    return row


@pytest.mark.parametrize(("old", "new"), list(product(StepStatus, repeat=2)))
def test_a_step_makes_exactly_the_moves_of_the_table(old: StepStatus, new: StepStatus) -> None:
    draft = a_draft()
    row = a_row(draft, "a", old)
    if new in STEP_MOVES[old]:
        draft.step(row, new)
        assert row.status is new
        assert [(e.step, e.old, e.new, e.attempt) for e in draft.events] == [("a", old, new, 3)]
    else:
        with pytest.raises(IllegalMove, match=rf"^Step 'a' \(forward\) cannot go {old} → {new}\.$"):
            draft.step(row, new)
        assert (row.status, draft.events, draft.changes) == (old, [], {})


@pytest.mark.parametrize(("old", "new"), list(product(RunStatus, repeat=2)))
def test_a_run_makes_exactly_the_moves_of_the_table(old: RunStatus, new: RunStatus) -> None:
    draft = a_draft(old)
    if new in RUN_MOVES[old]:
        draft.run(new)
        assert draft.view.status is new
        assert [(e.step, e.old, e.new) for e in draft.events] == [("", old, new)]
    else:
        with pytest.raises(IllegalMove, match=rf"^Run [0-9a-f-]+ cannot go {old} → {new}\.$"):
            draft.run(new)
        assert (draft.view.status, draft.events) == (old, [])


def test_an_empty_draft_is_false() -> None:
    draft = a_draft()
    assert not draft
    draft.note("", "cancelled")
    assert draft


@pytest.mark.parametrize(("due_in", "due"), [(None, False), (5.0, False), (0.0, True), (-1, True)])
def test_a_step_is_due_when_nothing_is_left_to_wait(due_in: float | None, due: bool) -> None:
    draft = a_draft()
    row = a_row(draft, "a", StepStatus.IN_FLIGHT)
    row.free_in = -1
    draft.step(row, StepStatus.READY, due_in=due_in)
    assert row.needs_worker is due
    assert draft.changes[Direction.FORWARD, "a"].due_in == due_in


def test_the_last_image_of_a_row_is_written_and_every_move_is_logged() -> None:
    draft = a_draft()
    row = a_row(draft, "a", StepStatus.IN_FLIGHT)
    draft.step(row, StepStatus.READY, due_in=0, error="busy")
    draft.step(row, StepStatus.IN_FLIGHT, time_limit=5)
    assert len(draft.changes) == 1
    assert draft.changes[Direction.FORWARD, "a"].time_limit == 5
    assert [(e.old, e.new) for e in draft.events] == [
        ("in_flight", "ready"),
        ("ready", "in_flight"),
    ]
    assert draft.events[0].data == {"reason": "busy"}


@pytest.mark.parametrize("status", [StepStatus.READY, StepStatus.UNKNOWN, StepStatus.WAITING])
def test_whatever_became_claimable_is_sent(status: StepStatus) -> None:
    """Else it would lie there until a sweep takes its message for lost."""
    draft = a_draft()
    draft.step(a_row(draft, "now", StepStatus.IN_FLIGHT), status, due_in=0)
    draft.step(a_row(draft, "later", StepStatus.IN_FLIGHT), status, due_in=9)
    assert [row.name for row in draft.to_send] == ["now"]


def test_what_was_claimed_or_settled_is_not_sent() -> None:
    draft = a_draft()
    draft.step(a_row(draft, "a", StepStatus.READY), StepStatus.IN_FLIGHT, time_limit=5)
    for status in (StepStatus.SUCCEEDED, StepStatus.FAILED):
        draft.step(a_row(draft, status, StepStatus.IN_FLIGHT), status, due_in=0)
    assert draft.to_send == []


def test_parking_stops_the_run_with_its_reason() -> None:
    draft = a_draft()
    draft.claimed = a_row(draft, "a", StepStatus.READY)
    draft.park("the partner says no")
    assert draft.view.status is RunStatus.NEEDS_ATTENTION
    assert draft.view.attention == "the partner says no"
    assert draft.claimed is None
    assert draft.events[-1].data == {"reason": "the partner says no"}


def test_why_a_run_stopped_is_told_without_names_of_exceptions() -> None:
    draft = a_draft()
    draft.park("'b' gave up: httpx.ConnectTimeout: no answer.")
    assert draft.view.attention == "'b' gave up: connect timeout: no answer."
    assert draft.view.error_group == "'…' gave up: connect timeout: no answer."


def test_parking_again_keeps_the_first_reason_and_logs_the_second() -> None:
    draft = a_draft()
    draft.park("first")
    draft.park("second")
    assert draft.view.attention == "first"
    assert [e.data["reason"] for e in draft.events] == ["first", "second"]
    assert draft.events[1].old == draft.events[1].new == RunStatus.NEEDS_ATTENTION


def test_a_late_answer_is_logged_and_moves_nothing() -> None:
    draft = a_draft()
    row = a_row(draft, "a", StepStatus.SUCCEEDED)
    draft.late(row, 2, "Done")
    assert draft.changes == {}
    event = draft.events[0]
    assert (event.old, event.new, event.attempt) == ("", "", 2)
    assert event.data == {"late_answer": "Done"}

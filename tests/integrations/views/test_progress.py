from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest

from integrations.sagas.customer_registration import customer_registration
from integrations.sagas.lead_qualification import lead_qualification
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.views.progress import MARKS, Line, progress_of
from integrations.views.wording import LEAD, ORDER, REGISTRATION
from sagas.models import Run, Step
from sagas.states import TERMINAL_RUNS, Direction, RunStatus, StepStatus

LATER = datetime(2030, 1, 1, tzinfo=UTC)


def row(
    name: str = "reserve_stock",
    status: StepStatus = StepStatus.SUCCEEDED,
    direction: Direction = Direction.FORWARD,
    **more: object,
) -> Step:
    position = list(order_fulfilment.steps).index(name)
    return Step(name=name, status=status, direction=direction, position=position, **more)


def line_of(*rows: Step, run: RunStatus = RunStatus.RUNNING) -> Line:
    (line,) = progress_of(Run(status=run), rows, ORDER).lines
    return line


@pytest.mark.parametrize("status", RunStatus)
def test_the_page_stops_asking_just_when_nothing_will_change(status: RunStatus) -> None:
    assert progress_of(Run(status=status), [], ORDER).final == (status in TERMINAL_RUNS)


def test_steps_stand_in_the_sagas_order_however_they_are_read() -> None:
    rows = [row(name) for name in order_fulfilment.steps]
    texts = [line.text for line in progress_of(Run(status="succeeded"), rows[::-1], ORDER).lines]
    assert texts == [ORDER.steps[name].done for name in order_fulfilment.steps]


def test_whatever_a_row_says_its_line_has_words() -> None:
    for run, forward, backward in product(RunStatus, StepStatus, [None, *StepStatus]):
        rows = [row(status=forward)]
        if backward:
            rows.append(row(status=backward, direction=Direction.BACKWARD))
        line = line_of(*rows, run=run)
        assert line.text
        assert line.word == MARKS[line.mark]


def test_a_step_that_is_tried_again_says_when() -> None:
    line = line_of(row(status=StepStatus.READY, tries=2, due_at=LATER))
    assert (line.mark, line.due) == ("now", LATER)
    assert "try again" in line.note


def test_a_step_that_was_not_tried_yet_promises_no_time() -> None:
    line = line_of(row(status=StepStatus.READY, tries=0, due_at=LATER))
    assert (line.note, line.due) == ("", None)


def test_an_open_question_is_told_as_one() -> None:
    line = line_of(row(status=StepStatus.UNKNOWN, due_at=LATER))
    assert "finding out" in line.note
    assert line.due == LATER


def test_a_step_that_is_undone_is_not_told_as_done() -> None:
    undone = row(direction=Direction.BACKWARD)
    line = line_of(row(), undone, run=RunStatus.COMPENSATED)
    assert (line.text, line.mark) == (ORDER.steps["reserve_stock"].undone, "undone")


@pytest.mark.parametrize("status", [StepStatus.PENDING, StepStatus.READY, StepStatus.IN_FLIGHT])
def test_a_step_that_will_be_undone_is_told_so(status: StepStatus) -> None:
    line = line_of(row(), row(status=status, direction=Direction.BACKWARD))
    assert line.mark == "undoing"


@pytest.mark.parametrize("run", [RunStatus.COMPENSATING, RunStatus.COMPENSATED])
def test_what_is_no_longer_done_is_not_announced(run: RunStatus) -> None:
    assert line_of(row(status=StepStatus.PENDING), run=run).mark == "dropped"
    assert line_of(row(status=StepStatus.PENDING)).mark == "next"


def test_no_line_tells_the_partners_words() -> None:
    line = line_of(row(status=StepStatus.FAILED, error="PartnerRefused: payments 402"))
    assert "402" not in f"{line.text} {line.note}"


def test_what_is_no_business_of_the_customers_is_not_shown() -> None:
    rows = [
        Step(name=name, status="succeeded", direction=Direction.FORWARD, position=position)
        for position, name in enumerate(customer_registration.steps)
    ]
    lines = progress_of(Run(status="succeeded"), rows, REGISTRATION).lines
    assert [line.text for line in lines] == [p.done for p in REGISTRATION.steps.values()]
    assert len(lines) < len(rows)


def test_the_way_that_was_not_gone_is_left_out() -> None:
    rows = [
        Step(
            name=name,
            status=StepStatus.SKIPPED if name == "write_nurture_note" else StepStatus.SUCCEEDED,
            direction=Direction.FORWARD,
            position=position,
        )
        for position, name in enumerate(lead_qualification.steps)
    ]
    shown = progress_of(Run(status=RunStatus.SUCCEEDED), rows, LEAD)
    assert len(shown.lines) == len(rows) - 1
    assert not any("for later" in line.text for line in shown.lines)

"""What keeps a run from moving, until an operator decides: one answer for whoever asks.

The planner, operator actions, batches and pages all ask ``blockers``; none has a rule of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagas.define.cause import error_group, plain
from sagas.define.saga import Definition
from sagas.define.step import Kind
from sagas.define.title import titled
from sagas.define.view import RunView, StepView, direction_of
from sagas.states import BLOCKING_STEPS, Direction, StepStatus

MISMATCH = "the code does not fit the run"  #: the error group of runs that it stopped


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that keeps a run from moving.

    Attributes:
        step: the step that does; None: the code that reads the run does not fit it.
        reason: a sentence for people.
        group: the same in words that are alike for every run that it stops.
    """

    step: StepView | None
    reason: str
    group: str


def blockers(saga: Definition | None, view: RunView) -> list[Blocker]:
    """What keeps a run from moving in the direction in which it goes; empty: nothing does.

    Of an active run they are what will stop it once all else is done.

    Args:
        saga: the definition that the run pins; None: this code has none that fits.
    """
    if view.over:
        return []
    direction = direction_of(view)
    found = [row for row in view.rows(direction) if _blocks(saga, view, row)]
    gone = [] if saga is not None else [_mismatch(view)]
    return gone + [blocker(saga, view, row) for row in found]


def blocker(saga: Definition | None, view: RunView, row: StepView) -> Blocker:
    """A step as a blocker of its run."""
    said = f": {plain(row.error)}" if row.error else ""
    if row.status is StepStatus.UNKNOWN:
        reason = f"Nobody can tell whether {named(row)} happened{said}."
        return Blocker(row, reason, error_group(row, row.error or "it is in doubt"))
    if view.halt and row.direction is Direction.FORWARD and row.in_doubt:
        reason = f"Nobody can tell whether {named(row)} happened, so nothing undoes it."
        return Blocker(row, reason, error_group(row, "nobody can tell whether it happened"))
    where = " after the pivot" if _after_pivot(saga, row) else ""
    reason = f"{named(row)} gave up{where}{said}."
    return Blocker(row, reason, error_group(row, row.error or "it gave up"))


def doubtful_for_ever(saga: Definition, row: StepView) -> bool:
    """Whether a step gave up, may have happened, and nothing can undo it."""
    given_up = row.status is StepStatus.FAILED and row.in_doubt
    return given_up and not saga.steps[row.name].tolerates_doubt


def named(row: StepView) -> str:
    """A step in a sentence, by its title."""
    return repr(titled(row))


def _blocks(saga: Definition | None, view: RunView, row: StepView) -> bool:
    if row.status not in BLOCKING_STEPS:
        return False
    if row.direction is Direction.BACKWARD or saga is None or row.name not in saga.steps:
        return row.status is StepStatus.FAILED or row.free_in is None
    step = saga.steps[row.name]
    if row.status is StepStatus.UNKNOWN:  # unless it comes up again, to be asked or repeated
        return row.free_in is None or (bool(view.halt) and step.verifier is None)
    if view.halt:  # the run turns back: what gave up is behind it, unless it cannot be undone
        return doubtful_for_ever(saga, row)
    return not step.optional


def _after_pivot(saga: Definition | None, row: StepView) -> bool:
    forward = row.direction is Direction.FORWARD and saga is not None and row.name in saga.steps
    return forward and saga is not None and saga.steps[row.name].kind is Kind.RETRIABLE


def _mismatch(view: RunView) -> Blocker:
    reason = f"The code here does not fit the run: {view.saga!r} v{view.version}."
    return Blocker(None, reason, MISMATCH)

"""What undoing a run would do, in order, and what it would leave. Pure.

The order is the planner's own: it is asked, on a copy of the run, what it would undo next.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sagas.define import plan
from sagas.define.blockers import doubtful_for_ever
from sagas.define.draft import Draft
from sagas.define.plan import Worker, past_pivot
from sagas.define.saga import Definition
from sagas.define.step import Kind
from sagas.define.view import RunView, StepView
from sagas.states import (
    CLAIMABLE_STEPS,
    OPEN_STEPS,
    SETTLED_STEPS,
    Direction,
    Halt,
    RunStatus,
    StepStatus,
)
from sagas.wording import words


@dataclass(frozen=True, slots=True)
class Undo:
    """One compensation that would be called.

    Attributes:
        compensation: the name of its function.
        says: the first line of what its function says that it does.
        doubtful: nobody knows whether there is anything to undo; it is called all the same.
    """

    step: str
    compensation: str
    says: str
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Left:
    """A step that would not be undone, and why."""

    step: str
    why: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What undoing a run would do.

    Attributes:
        refusal: why nothing can be undone any more, in a sentence; empty: something may be.
        first: what must be settled before anything is undone.
        stages: what is undone, in order; what shares a stage is undone side by side.
        kept: what happened and stays.
        unless: the pivot, while it is open: if it happens, nothing is undone; else empty.
    """

    refusal: str
    first: tuple[Left, ...]
    stages: tuple[tuple[Undo, ...], ...]
    kept: tuple[Left, ...]
    unless: str = ""

    @property
    def count(self) -> int:
        """How many steps are undone."""
        return sum(map(len, self.stages))


def undo_preview(saga: Definition, view: RunView) -> Preview:
    """What undoing a run as it stands would do; the view stays as it is.

    A run that is being undone already gives what is still to come.
    """
    if refusal := _refusal(saga, view):
        return Preview(refusal, (), (), tuple(staying(saga, view)))
    first = tuple(_unsettled(saga, view))
    kept = tuple(_kept(saga, view))
    unless = next((left.step for left in first if _is_pivot(saga, left.step)), "")
    return Preview("", first, tuple(_stages(saga, view.copy())), kept, unless)


def staying(saga: Definition | None, view: RunView) -> Iterator[Left]:
    """What happened, or may have, and stays if nothing is undone any more.

    Args:
        saga: the definition that the run pins; None: it is gone.
    """
    passed = saga is not None and past_pivot(saga, view)
    for row in view.rows(Direction.FORWARD):
        if (saga is not None and saga.steps[row.name].kind is Kind.HARMLESS) or view.undone(row):
            continue
        if row.in_doubt or row.status in OPEN_STEPS:
            yield Left(row.name, "it may have happened, and nobody finds out")
        elif row.status is StepStatus.SUCCEEDED:
            yield Left(row.name, _why_it_stays(saga, row.name) if passed else _STAYS)


def _why_it_stays(saga: Definition | None, name: str) -> str:
    kind = saga.steps[name].kind if saga is not None else None
    if kind is Kind.PIVOT:
        return "it is the point of no return"
    if kind is Kind.RETRIABLE:
        return "it comes after the point of no return, and nothing undoes it"
    return f"{_STAYS}: the point of no return was passed"


_STAYS = "it happened and stays"


def _refusal(saga: Definition, view: RunView) -> str:
    if view.over:
        return f"The run is over ({words(view.status)}): nothing more happens to it."
    if past_pivot(saga, view) and saga.pivot:
        return f"It has passed its pivot, {saga.pivot.name}: from there on it can only go forward."
    return ""


# --- what is not undone --------------------------------------------------------------------


def _kept(saga: Definition, view: RunView) -> Iterator[Left]:
    for row in view.rows(Direction.FORWARD):
        undone = view.step(row.name, Direction.BACKWARD)
        if undone is not None:
            if undone.status is StepStatus.SKIPPED:
                yield Left(row.name, "what undoes it was skipped: what it did stays")
        elif row.status is StepStatus.SUCCEEDED and _harmless(saga, row):
            yield Left(row.name, "harmless: there is nothing to undo")
        elif row.status is StepStatus.SKIPPED and row.attempt:
            yield Left(row.name, "a person skipped it: whatever it did before that stays")


def _unsettled(saga: Definition, view: RunView) -> Iterator[Left]:
    if view.rows(Direction.BACKWARD):
        for row in view.rows(Direction.BACKWARD):
            if row.status is StepStatus.FAILED:
                yield Left(row.name, "what undoes it gave up: retry that, or skip it")
            elif row.status is StepStatus.UNKNOWN and row.free_in is None:
                yield Left(row.name, "nobody knows whether it was undone: mark that, or retry it")
        return
    for row in view.rows(Direction.FORWARD):
        if why := _open(saga, row):
            yield Left(row.name, why)


def _open(saga: Definition, row: StepView) -> str:
    step = saga.steps[row.name]
    match row.status:
        case StepStatus.IN_FLIGHT if step.kind is Kind.PIVOT:
            return "in flight: if it happens, that is the point of no return: nothing is undone"
        case StepStatus.IN_FLIGHT:
            undone = "" if step.kind is Kind.HARMLESS else ", and what it did is undone too"
            return f"in flight: its answer is awaited{undone}"
        case StepStatus.READY if row.in_doubt and step.verifier is not None:
            return "it may have happened: that is found out first"
        case StepStatus.READY | StepStatus.WAITING if row.in_doubt and step.verifier is None:
            return _UNKNOWN
        case StepStatus.UNKNOWN:
            return _UNKNOWN
        case StepStatus.FAILED if doubtful_for_ever(saga, row):
            return "it gave up, it may have happened, and nothing can undo it: retry or skip it"
    return ""


_UNKNOWN = "nobody knows whether it happened: it must be found out, or marked"


def _harmless(saga: Definition, row: StepView) -> bool:
    return saga.steps[row.name].kind is Kind.HARMLESS


def _is_pivot(saga: Definition, name: str) -> bool:
    return saga.steps[name].kind is Kind.PIVOT


# --- what is undone ------------------------------------------------------------------------


def _stages(saga: Definition, view: RunView) -> Iterator[tuple[Undo, ...]]:
    _turned(saga, view)
    while view.status is RunStatus.COMPENSATING:
        rows = [r for r in view.rows(Direction.BACKWARD) if r.status in CLAIMABLE_STEPS]
        yield tuple(_undo(saga, view, row) for row in rows)
        for row in rows:
            row.status = StepStatus.SUCCEEDED
        plan.advance(saga, Draft(view), _NOBODY)


def _turned(saga: Definition, view: RunView) -> None:
    """Bring a copy to where it is being undone, as if what is open had not happened."""
    rows = view.rows(Direction.BACKWARD)
    for row in rows:
        if row.status not in SETTLED_STEPS and row.status not in CLAIMABLE_STEPS:
            row.status = StepStatus.PENDING
    if rows:
        view.status = RunStatus.COMPENSATING
        plan.advance(saga, Draft(view), _NOBODY)
        return
    for row in view.rows(Direction.FORWARD):
        if _open(saga, row):
            row.status, row.in_doubt = StepStatus.FAILED, False
    if view.status is RunStatus.NEEDS_ATTENTION:
        view.status = RunStatus.RUNNING
    plan.turn_back(saga, Draft(view), Halt.CANCELLED, _NOBODY)


def _undo(saga: Definition, view: RunView, row: StepView) -> Undo:
    how, forward = saga.steps[row.name].compensation, view.step(row.name)
    assert how is not None, "only a step with a compensation has such a row"
    doubtful = forward is not None and forward.status is not StepStatus.SUCCEEDED
    return Undo(row.name, _name(how.action), _first_line(how.action), doubtful)


def _name(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "" if name == "<lambda>" else name


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


_NOBODY = Worker(carries=lambda step, direction: False, holds=lambda step: True)

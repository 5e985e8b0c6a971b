"""What a step is called by people and by those who ask them: never a compensation by its step."""

from __future__ import annotations

from collections.abc import Iterator

from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView, direction_of
from sagas.states import Direction

_UNDO = "undo of "  # no step's name has a blank


def title(name: str, direction: str) -> str:
    """A step, or what undoes it, as it is called wherever somebody may act on it."""
    return f"{_UNDO}{name}" if direction == Direction.BACKWARD else name


def titled(row: StepView) -> str:
    """The title of a step's row."""
    return title(row.name, row.direction)


def is_undo(called: str) -> bool:
    """Whether a title is that of a compensation."""
    return called.startswith(_UNDO)


def plain(called: str) -> str:
    """The name of the step that a title is of."""
    return called.removeprefix(_UNDO)


def current(saga: Definition | None, view: RunView, called: str) -> StepView | None:
    """The row of the direction in which a run goes that is called so; None: there is none.

    By its title, by the name of its step, or by that of the compensation, if it undoes one only.
    """
    rows = view.rows(direction_of(view))
    named = [row for row in rows if called in (row.name, titled(row))]
    found = named or [row for row in rows if called in _compensations(saga, row)]
    return found[0] if len(found) == 1 else None


def _compensations(saga: Definition | None, row: StepView) -> Iterator[str]:
    step = saga.steps.get(row.name) if saga is not None else None
    if row.direction is Direction.BACKWARD and step is not None and step.compensation is not None:
        yield getattr(step.compensation.action, "__name__", "")

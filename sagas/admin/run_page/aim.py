"""Where the page of a run opens: at the step that matters, however many there are. Pure."""

from __future__ import annotations

from sagas.define.blockers import blockers
from sagas.define.saga import Definition
from sagas.define.view import RunView, direction_of
from sagas.states import CLAIMABLE_STEPS, Direction, RunStatus, StepStatus

Place = tuple[Direction, str]


def aim(saga: Definition | None, view: RunView) -> Place | None:
    """The step that blocks the run, or whose turn it is, or that made it turn back.

    None: none does, as in a run that has succeeded.
    """
    if view.status is RunStatus.SUCCEEDED:
        return None
    way = direction_of(view)
    blocking = [one.step for one in blockers(saga, view) if one.step is not None]
    turn = [row for row in view.rows(way) if row.status in CLAIMABLE_STEPS and not view.over]
    failed = [row for row in view.rows(Direction.FORWARD) if row.status is StepStatus.FAILED]
    found = next(iter([*blocking, *turn, *failed]), None)
    return None if found is None else (found.direction, found.name)

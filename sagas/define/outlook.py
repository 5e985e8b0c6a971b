"""How a run goes on from where an operator's verb would leave it. Pure.

The verb's own moves are tried on a copy of the run, and the planner is asked what follows: what a
page says before a person confirms is what happens afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from sagas.define.blockers import blockers
from sagas.define.preview import Left, Preview, staying, undo_preview
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.states import Direction, RunStatus


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a run goes on.

    Attributes:
        status: the run's, as the verb leaves it.
        stopped: what still stops it then, in sentences.
        undo: what is undone and what is not, if it turns back.
        stays: what stays, if nothing more happens to it.
    """

    status: RunStatus
    stopped: tuple[str, ...] = ()
    undo: Preview | None = None
    stays: tuple[Left, ...] = ()


def outlook(saga: Definition | None, after: RunView) -> Outlook:
    """How a run goes on; the view stays as it is.

    Args:
        saga: the definition that the run pins; None: it is gone.
        after: the run as a verb leaves it.
    """
    if after.over or saga is None:
        return Outlook(after.status, stays=tuple(staying(saga, after)))
    stands = after.status is RunStatus.NEEDS_ATTENTION
    stopped = tuple(one.reason for one in blockers(saga, after)) if stands else ()
    back = after.halt or after.rows(Direction.BACKWARD)
    return Outlook(after.status, stopped, undo_preview(saga, after) if back else None)

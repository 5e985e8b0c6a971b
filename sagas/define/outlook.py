"""How a run goes on from where an operator's verb would leave it. Pure.

The verb's own moves are tried on a copy of the run, and the planner is asked what follows: what a
page says before a person confirms is what happens afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sagas.define.blockers import blockers
from sagas.define.preview import Left, Preview, staying, undo_preview
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.states import Direction, RunStatus, StepStatus


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a run goes on.

    Attributes:
        status: the run's, as the verb leaves it.
        stopped: what still stops it then, in sentences.
        undo: what is undone and what is not, if it turns back.
        stays: what stays, if nothing more happens to it.
        again: steps that happened and are done once more, so that their effects happen again.
        added: steps that it has from then on, by another version of its saga ...
        removed: ... and those that it has no more.
    """

    status: RunStatus
    stopped: tuple[str, ...] = ()
    undo: Preview | None = None
    stays: tuple[Left, ...] = ()
    again: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


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


def changes(seen: Outlook, before: RunView, after: RunView) -> Outlook:
    """The same, with what a verb changes of the run's own steps."""
    old = {row.name: row for row in before.rows(Direction.FORWARD)}
    new = {row.name: row for row in after.rows(Direction.FORWARD)}
    done = [name for name, row in old.items() if row.status is StepStatus.SUCCEEDED]
    again = [n for n in done if n in new and new[n].status is not StepStatus.SUCCEEDED]
    added, removed = (tuple(n for n in a if n not in b) for a, b in ((new, old), (old, new)))
    return replace(seen, again=tuple(again), added=added, removed=removed)

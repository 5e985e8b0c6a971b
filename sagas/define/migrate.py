"""May a run go on with another definition, and what changes? Pure.

What has happened must be a part of the new definition that comes first in it: then the planner goes
on, or back, as if the run had been started so. In particular

- each step that has happened, or may have, is still there, and can still be undone if it could;
- no step that has not been done comes before one that has: it would be done too late;
- the run has passed the pivot of both definitions or of neither;
- what is under way (a wait, a failure, a doubt) is of a step that behaves as it did.

Steps whose turn has not come may be added, removed and moved as one likes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sagas.define.blockers import MISMATCH, blockers
from sagas.define.draft import Draft
from sagas.define.fingerprint import flags, promised_undo
from sagas.define.intervene import let_go_on
from sagas.define.plan import Worker, advance, alive, past_pivot
from sagas.define.saga import Definition, Node, walk
from sagas.define.step import Kind, Step
from sagas.define.view import RunView, StepView
from sagas.states import SETTLED_STEPS, UNTRIED_STEPS, Direction, RunStatus, StepStatus
from sagas.wording import stands


@dataclass(frozen=True, slots=True)
class Migration:
    """A run and another definition.

    Attributes:
        obstacles: why it cannot go on with that, in words; empty: it can.
        added: steps that are new to the run, in order.
        removed: steps that the run will not do any more.
        kept: the others, each with its place from now on.
    """

    obstacles: Sequence[str]
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    kept: dict[str, int] = field(default_factory=dict)


def migration(old: Definition | None, new: Definition, view: RunView) -> Migration:
    """Compare a run with a definition that it does not pin.

    Args:
        old: the definition that it pins; None: the code has none any more. Then a run can move as
            long as all that it did could be undone, since nothing else tells where its pivot was.
        new: the definition that it shall go on with.
    """
    rows = view.rows(Direction.FORWARD)
    names = [row.name for row in rows]
    return Migration(
        list(_obstacles(old, new, view)),
        [name for name in new.steps if name not in names],
        [name for name in names if name not in new.steps],
        {name: place for name, place in new.order.items() if name in names},
    )


def touched(row: StepView) -> bool:
    """Whether a step has happened, may have, or is under way: its turn had come."""
    return row.attempt > 0 or row.status not in UNTRIED_STEPS


def migrated(new: Definition, view: RunView, to: Migration, worker: Worker) -> Draft:
    """Give a run that can move its new definition. It goes on if only its old one kept it.

    The rows of the view are those that the run has from now on, in their new places.
    """
    draft = Draft(view, version=new.version, fingerprint=new.fingerprint)
    stopped = view.error_group == MISMATCH
    for row in view.rows(Direction.FORWARD):
        if row.status is StepStatus.READY and not touched(row):
            draft.step(row, StepStatus.PENDING)  # what comes next is found anew
    _arrange(new, view, to)
    view.version, view.fingerprint = new.version, new.fingerprint
    if stopped and view.status is RunStatus.NEEDS_ATTENTION and not blockers(new, view):
        return let_go_on(new, draft, worker)
    advance(new, draft, worker)
    return alive(new, draft)


def _arrange(new: Definition, view: RunView, to: Migration) -> None:
    rows = dict(view.steps)
    view.steps.clear()
    for direction in Direction:
        for name, place in new.order.items():
            row = rows.get((direction, name))
            if row is None and name in to.added and direction is Direction.FORWARD:
                row = StepView(None, name, direction, place)
            if row is not None:
                row.position = place
                view.steps[direction, name] = row
    # What is undone already needs no code any more.
    left = {k: row for k, row in rows.items() if k[0] is Direction.BACKWARD}
    view.steps.update({k: row for k, row in left.items() if k not in view.steps})


def _obstacles(old: Definition | None, new: Definition, view: RunView) -> Iterator[str]:
    if view.over:
        yield f"it {stands(view.status)}"
        return
    for row in view.steps.values():
        if row.status is StepStatus.IN_FLIGHT:
            yield f"step {row.name!r} is in flight: wait until it has answered"
    done = [row for row in view.rows(Direction.FORWARD) if touched(row)]
    lost = [row.name for row in done if row.name not in new.steps]
    yield from (f"step {name!r} has happened, and is gone" for name in lost)
    for row in done:
        if row.name in new.steps:
            yield from _of_step(old, new, view, row)
    yield from _of_order(new, view)
    yield from _of_pivot(old, new, view)
    for row in view.rows(Direction.BACKWARD):
        step = new.steps.get(row.name)
        if row.status not in SETTLED_STEPS and (step is None or step.compensation is None):
            yield f"step {row.name!r} is to be undone, and has no compensation"


def _of_step(
    old: Definition | None, new: Definition, view: RunView, row: StepView
) -> Iterator[str]:
    """What a step that has happened, or is under way, has lost."""
    step, name = new.steps[row.name], row.name
    could_be = _could_be_undone(old, view, row)
    if could_be and step.kind is not Kind.COMPENSATABLE:
        yield f"step {name!r} has happened, could be undone, and no longer can"
    if row.status in SETTLED_STEPS:
        return
    if old is None:
        doubtful = row.in_doubt or row.status is StepStatus.UNKNOWN
        if doubtful or (row.status is StepStatus.WAITING and not step.waits):
            yield f"step {name!r} is under way, and nothing tells how it was declared then"
    elif flags(old.steps[name]) != flags(step):
        yield f"step {name!r} is under way, and is declared otherwise (waits, optional, atomic …)"
    elif step.verifier is None and old.steps[name].verifier is not None and row.in_doubt:
        yield f"step {name!r} may have happened, and has lost its verify"


def _could_be_undone(old: Definition | None, view: RunView, row: StepView) -> bool | None:
    """None: nothing tells."""
    if old is not None:
        return old.steps[row.name].kind is Kind.COMPENSATABLE
    return promised_undo(view.fingerprint, row.position)


def _of_order(new: Definition, view: RunView) -> Iterator[str]:
    """A step that is not done though one after it is."""
    for step, later in _too_late(new.tree, view):
        yield f"step {step!r} is not done and comes before {later!r}, which has happened"


def _too_late(nodes: Sequence[Node], view: RunView) -> Iterator[tuple[str, str]]:
    open_step = ""
    for node in nodes:
        steps = list(walk([node]))
        begun = next((step.name for step in steps if _touched(step, view)), "")
        if open_step and begun:
            yield open_step, begun
            return
        if not isinstance(node, Step):
            for branch in node.branches:
                yield from _too_late(branch, view)
        open_step = open_step or next((s.name for s in steps if not _passed(s, view)), "")


def _touched(step: Step, view: RunView) -> bool:
    row = view.step(step.name)
    return row is not None and touched(row)


def _passed(step: Step, view: RunView) -> bool:
    row = view.step(step.name)
    if row is None:
        return False
    return row.status in SETTLED_STEPS or (step.optional and row.status is StepStatus.FAILED)


def _of_pivot(old: Definition | None, new: Definition, view: RunView) -> Iterator[str]:
    if old is None:
        for row in view.rows(Direction.FORWARD):
            undoable = promised_undo(view.fingerprint, row.position)
            if touched(row) and row.status in SETTLED_STEPS and not undoable:
                yield (
                    f"step {row.name!r} has happened, and nothing tells whether it was the pivot "
                    "then: bring the definition back that the run was started with"
                )
    elif past_pivot(old, view) and not past_pivot(new, view):
        yield f"it has passed its pivot {_name(old)}, and not {_name(new)}"
    elif past_pivot(new, view) and not past_pivot(old, view):
        yield f"{_name(new)} has happened, which is the pivot now and was none"


def _name(saga: Definition) -> str:
    return repr(saga.pivot.name) if saga.pivot else "the new one's, which has none"

"""Which steps come next, for both directions, derived from the tree and the rows alone.

Joins need no counter: the step after a parallel block is reached when no branch has a next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sagas.define.saga import Definition, Node, Parallel, walk
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.states import SETTLED_STEPS, Direction, StepStatus

Passed = Callable[[Step], bool]


def frontier(saga: Definition, view: RunView, direction: Direction) -> list[Step]:
    """The steps whose turn it is: one, or several inside parallel branches; none at the end."""
    return _next(saga.tree, _passed(view, direction), direction)


def segment(saga: Definition, view: RunView, direction: Direction, start: Step) -> list[Step]:
    """The steps from ``start`` that follow in sequence, up to a fork or the end of its branch."""
    passed = _passed(view, direction)
    sequence = _sequence_of(saga.tree, start.name, direction)
    steps: list[Step] = []
    for node in sequence:
        if isinstance(node, Parallel):
            if any(not passed(step) for step in walk([node])):
                break
        elif node.name == start.name or (steps and not passed(node)):
            steps.append(node)
    return steps


def following(saga: Definition, name: str) -> list[Step]:
    """A step and all that may only be done after it; branches beside its own are not among them.

    Raises:
        LookupError: the saga has no such step.
    """
    found = _following(saga.tree, name)
    if found is None:
        raise LookupError(name)
    return found


def _following(nodes: Sequence[Node], name: str) -> list[Step] | None:
    for place, node in enumerate(nodes):
        rest = list(walk(nodes[place + 1 :]))
        if isinstance(node, Step):
            if node.name == name:
                return [node, *rest]
            continue
        for branch in node.branches:
            if (inner := _following(branch, name)) is not None:
                return [*inner, *rest]
    return None


def _passed(view: RunView, direction: Direction) -> Passed:
    def forward(step: Step) -> bool:
        row = view.step(step.name)
        return row is not None and (row.status in SETTLED_STEPS or _given_up(step, row))

    def backward(step: Step) -> bool:
        row = view.step(step.name, Direction.BACKWARD)
        return row is None or row.status in SETTLED_STEPS

    return forward if direction is Direction.FORWARD else backward


def _given_up(step: Step, row: StepView) -> bool:
    """An optional step's final failure does not stop the run."""
    return step.optional and row.status is StepStatus.FAILED


def _next(nodes: Sequence[Node], passed: Passed, direction: Direction) -> list[Step]:
    for node in _ordered(nodes, direction):
        if isinstance(node, Parallel):
            found = [s for branch in node.branches for s in _next(branch, passed, direction)]
            if found:
                return found
        elif not passed(node):
            return [node]
    return []


def _sequence_of(nodes: Sequence[Node], name: str, direction: Direction) -> list[Node]:
    """The innermost sequence that holds the step, in working order, from that step on."""
    ordered = list(_ordered(nodes, direction))
    for index, node in enumerate(ordered):
        if isinstance(node, Step):
            if node.name == name:
                return ordered[index:]
            continue
        for branch in node.branches:
            if any(step.name == name for step in walk(branch)):
                return _sequence_of(branch, name, direction)
    raise LookupError(name)


def _ordered(nodes: Sequence[Node], direction: Direction) -> Iterator[Node]:
    return iter(nodes) if direction is Direction.FORWARD else reversed(nodes)

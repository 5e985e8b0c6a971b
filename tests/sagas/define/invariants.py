"""The invariants of a run, held against what the partners on paper know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sagas.define.saga import Node, Parallel, walk
from sagas.define.step import Step
from sagas.define.view import StepView
from sagas.history import replay
from sagas.states import RunStatus, StepStatus
from tests.sagas.define.paper import BACKWARD, FORWARD, Paper

_AT_REST = (RunStatus.SUCCEEDED, RunStatus.COMPENSATED, RunStatus.NEEDS_ATTENTION)


def problems(paper: Paper) -> Iterator[str]:
    """Which invariants a run that came to rest has broken."""
    yield from (f"I9: {problem}" for problem in replay(paper.facts).problems)
    if paper.view.status not in _AT_REST:
        yield f"I1: it came to rest as {paper.view.status}"
    yield from (f"I3: {p} has {n} effects" for p, n in paper.effects.items() if n > 1)
    yield from _attention(paper)
    for step in paper.saga.steps.values():
        yield from _step(paper, step)
    yield from _pivot(paper)
    yield from _order(paper)


def _attention(paper: Paper) -> Iterator[str]:
    """I11: a person is asked for a reason, and only then."""
    if (paper.view.status is RunStatus.NEEDS_ATTENTION) != bool(paper.view.attention):
        yield f"I11: it is {paper.view.status} because {paper.view.attention!r}"
    if paper.view.attention and not paper.grounds:
        yield "I11: a person is asked, and nothing happened that needs one"


def _step(paper: Paper, step: Step) -> Iterator[str]:
    view, name = paper.view, step.name
    row = view.steps[FORWARD, name]
    done, undone = paper.effects[FORWARD, name], paper.effects[BACKWARD, name]
    tolerant = step.compensation is not None and step.compensation.tolerates_nothing
    if row.status is StepStatus.SUCCEEDED and not (done or step.waits):
        yield f"I6: {name} succeeded without an effect"
    if undone and not (done or tolerant):
        yield f"I4: {name} was undone and had not happened"
    if view.status is RunStatus.COMPENSATED and step.compensation and done > undone:
        yield f"I4: {name} happened and was not undone"
    if done and row.status in (StepStatus.PENDING, StepStatus.READY, StepStatus.SKIPPED):
        yield f"I4: {name} happened, and its row says {row.status}"
    if view.status is RunStatus.SUCCEEDED and not _passed(step, row):
        yield f"I7: the run succeeded although {name} is {row.status}"


def _passed(step: Step, row: StepView) -> bool:
    given_up = step.optional and row.status is StepStatus.FAILED
    return given_up or row.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED)


def _pivot(paper: Paper) -> Iterator[str]:
    pivot = paper.saga.pivot
    happened = pivot is not None and paper.effects[FORWARD, pivot.name]
    if happened and any(direction is BACKWARD for direction, _ in paper.calls):
        yield "I8: something was undone although the pivot happened"


def _order(paper: Paper) -> Iterator[str]:
    """I7, on every call: nothing begins before all that stands before it is through."""
    last = {place: index for index, place in enumerate(paper.calls)}
    first = {place: index for index, place in reversed(list(enumerate(paper.calls)))}
    for early, late in _before(paper.saga.tree):
        for one, other in (
            ((FORWARD, early), (FORWARD, late)),
            ((BACKWARD, late), (BACKWARD, early)),
        ):
            if last.get(one, -1) > first.get(other, len(paper.calls)):
                yield f"I7: {other} was called before {one} was through"
    forward = [index for (direction, _), index in last.items() if direction is FORWARD]
    backward = [index for (direction, _), index in first.items() if direction is BACKWARD]
    if max(forward, default=-1) > min(backward, default=len(paper.calls)):
        yield "I7: a step was called after the run had begun to undo"


def _before(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """Every pair of steps of which the first must come first."""
    for index, node in enumerate(nodes):
        later = [step.name for step in walk(nodes[index + 1 :])]
        yield from ((step.name, name) for step in walk([node]) for name in later)
        if isinstance(node, Parallel):
            for branch in node.branches:
                yield from _before(branch)

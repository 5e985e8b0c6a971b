"""The invariants, checked on the record and a ledger after a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from sagas.define.saga import Definition, Node, Parallel, walk
from sagas.history import Fact, replay
from sagas.models import Event, Run
from sagas.states import RESTING_RUNS, Direction, RunStatus, StepStatus
from sagas.testing.ledger import Entry, Ledger


def audit(saga: Definition, key: str, ledger: Ledger, lost_calls: int) -> list[str]:
    """What is wrong with the run of a key, each as ``I3: ...``; empty if nothing is.

    Args:
        lost_calls: how many calls the crash may have cost, that is, made be repeated.
    """
    runs = list(Run.objects.filter(saga=saga.name, business_key=key))
    if len(runs) != 1:
        return [f"I2: {len(runs)} runs for one accepted start"]
    return [*_record(runs[0]), *_effects(saga, runs[0], ledger), *_calls(ledger, lost_calls)]


def before(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """Every pair of steps of which the first must come first."""
    for index, node in enumerate(nodes):
        later = [s.name for s in walk(nodes[index + 1 :])]
        yield from ((s.name, name) for s in walk([node]) for name in later)
        if isinstance(node, Parallel):
            for branch in node.branches:
                yield from before(branch)


def _record(run: Run) -> Iterator[str]:
    if run.status not in RESTING_RUNS:
        yield f"I1: the run came to rest as {run.status}"
    events = Event.objects.filter(run=run).order_by("id")
    history = replay(Fact(e.step, e.direction, e.old, e.new, e.epoch) for e in events)
    for problem in history.problems:
        yield f"{'I10' if 'epoch' in problem else 'I9'}: {problem}"
    if history.status != run.status:
        yield f"I9: the events say {history.status}, the run says {run.status}"
    for step in run.steps.all():
        told = history.steps.get((step.direction, step.name), StepStatus.PENDING)
        if told != step.status:
            yield f"I9: the events say {step.name} is {told}, its row says {step.status}"


def _effects(saga: Definition, run: Run, ledger: Ledger) -> Iterator[str]:
    effects = ledger.effects()
    counts = Counter((e.direction, e.step) for e in effects)
    for (direction, step), count in counts.items():
        if count > 1:
            yield f"I3: {step} ({direction}) has {count} effects"
    yield from _unclaimed(run, effects)
    yield from _undone(saga, run, counts)
    yield from _disorder(saga, effects)


def _unclaimed(run: Run, effects: Sequence[Entry]) -> Iterator[str]:
    claims = {
        (e.direction, e.step, e.attempt)
        for e in Event.objects.filter(run=run, new=StepStatus.IN_FLIGHT)
    }
    for effect in effects:
        if (effect.direction, effect.step, effect.attempt) not in claims:
            yield f"I5: {effect.step} had an effect in an attempt that nobody claimed"


def _undone(saga: Definition, run: Run, counts: Counter[tuple[str, str]]) -> Iterator[str]:
    for row in run.steps.filter(status=StepStatus.SUCCEEDED):
        if not counts[row.direction, row.name] and not saga.steps[row.name].waits:
            yield f"I6: {row.name} ({row.direction}) succeeded without an effect"
    for name, step in saga.steps.items():
        done = counts[Direction.FORWARD, name]
        undone = counts[Direction.BACKWARD, name]
        if run.status == RunStatus.COMPENSATED and step.compensation and done > undone:
            yield f"I4: {name} was done and not undone"
        if undone > done and not (step.compensation and step.compensation.tolerates_nothing):
            yield f"I4: {name} was undone and had not been done"
    pivot = saga.pivot.name if saga.pivot else ""
    if counts[Direction.FORWARD, pivot] and any(d == Direction.BACKWARD for d, _ in counts):
        yield f"I8: something was undone although the pivot {pivot} had its effect"


def _disorder(saga: Definition, effects: Sequence[Entry]) -> Iterator[str]:
    seen = {(e.direction, e.step): e.seq for e in effects}
    for first, second in before(saga.tree):
        for direction, (early, late) in (
            (Direction.FORWARD, (first, second)),
            (Direction.BACKWARD, (second, first)),
        ):
            a, b = seen.get((direction, early)), seen.get((direction, late))
            if a is not None and b is not None and a > b:
                yield f"I7: {late} came before {early} ({direction})"
    backward = [e.seq for e in effects if e.direction == Direction.BACKWARD]
    forward = [e.seq for e in effects if e.direction == Direction.FORWARD]
    if backward and forward and max(forward) > min(backward):
        yield "I7: a step was done after the run had begun to undo"


def _calls(ledger: Ledger, lost_calls: int) -> Iterator[str]:
    calls = Counter((c.direction, c.step) for c in ledger.calls())
    repeated = sum(count - 1 for count in calls.values())
    if repeated > lost_calls:
        yield f"I10: {repeated} calls were repeated, and only {lost_calls} can have been lost"

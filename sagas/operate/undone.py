"""Why a run was undone, and how far, in a sentence: from its record, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

from sagas.define import registry
from sagas.define.cause import plain
from sagas.models import Event, Run, Step
from sagas.states import ACTIVE_RUNS, TERMINAL_RUNS, Direction, Halt, RunStatus, StepStatus
from sagas.wording import words

UNDONE = "undone"  #: how a step stands that happened and was undone
_ASKED = ("cancel", "compensate")  # verbs that turn a run back
_MOST = 3


def undone_steps(steps: Iterable[Step]) -> frozenset[str]:
    """The names of those that happened and were undone."""
    done: dict[str, set[str]] = {way.value: set() for way in Direction}
    for step in steps:
        if step.status == StepStatus.SUCCEEDED:
            done[step.direction].add(step.name)
    return frozenset(set.intersection(*done.values()))


def state_of(step: Step, undone: Set[str]) -> str:
    """How a step stands, as people write it.

    Args:
        undone: what ``undone_steps`` gave of its run.
    """
    gone = step.direction == Direction.FORWARD and step.name in undone
    return UNDONE if gone else words(step.status)


def undone_because(run: Run, steps: Sequence[Step]) -> str:
    """Why a run was undone, or is being undone, and how far; empty: it is not.

    Args:
        steps: all of the run's.
    """
    if run.status in ACTIVE_RUNS[Direction.FORWARD] or run.status == RunStatus.SUCCEEDED:
        return ""
    if not (why := _why(run, steps)):
        return ""
    return "; ".join([why.removesuffix("."), *_how_far(run, steps)])


def _why(run: Run, steps: Sequence[Step]) -> str:
    match Halt(run.halt):
        case Halt.FAILED:
            return _given_up(run, steps)
        case Halt.CANCELLED:
            return _cancelled(run)
        case Halt.DEADLINE:
            return "Its deadline passed"
    return ""


def _given_up(run: Run, steps: Sequence[Step]) -> str:
    saga = registry.fitting(run.saga, run.version, run.fingerprint)
    optional = {s.name for s in saga.steps.values() if s.optional} if saga is not None else set()
    failed = [
        step
        for step in steps
        if step.direction == Direction.FORWARD
        and step.status == StepStatus.FAILED
        and step.name not in optional
    ]
    return "; ".join(map(_failure, failed[:_MOST])) or "A step gave up"


def _failure(step: Step) -> str:
    error = plain(step.error.strip()).removesuffix(".")
    return f"{error[:1].upper()}{error[1:]} at {step.name}" if error else f"{step.name} gave up"


def _cancelled(run: Run) -> str:
    """By whom and why: the application's own code gives no reason."""
    asked = Event.objects.filter(run=run.pk, step="", new__in=_ASKED).order_by("-id").first()
    if asked is None or "why" not in asked.data:
        return "The application cancelled it"
    return f"{asked.data.get('by')} asked to {asked.new}: {asked.data['why']}"


def _how_far(run: Run, steps: Sequence[Step]) -> Iterator[str]:
    undos = [step.status for step in steps if step.direction == Direction.BACKWARD]
    done, left = undos.count(StepStatus.SUCCEEDED), undos.count(StepStatus.SKIPPED)
    if not undos:
        yield "no step was to be undone"
        return
    over = run.status in TERMINAL_RUNS
    of = "" if over and done + left == len(undos) else f" of {len(undos)}"
    yield f"{done}{of} step{'s' * ((len(undos) if of else done) != 1)} undone"
    if left:
        yield f"{left} not undone: an operator skipped {'that' if left == 1 else 'those'}"

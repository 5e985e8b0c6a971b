"""Is a run's history legal? Pure: it reads events and says what no engine may have done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sagas.states import (
    ACTIVE_RUNS,
    RUN_MOVES,
    STEP_MOVES,
    TERMINAL_RUNS,
    Direction,
    RunStatus,
    StepStatus,
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One event, as the log keeps it; ``step`` is empty for the run's own moves."""

    step: str
    direction: str
    old: str
    new: str
    epoch: int


@dataclass(slots=True)
class Replay:
    """Where the events say that the run and its steps stand, and what was wrong on the way."""

    status: str
    steps: dict[tuple[str, str], str]
    problems: list[str]


def replay(facts: Iterable[Fact]) -> Replay:
    """Follow a run's events from its start.

    Args:
        facts: all events of one run, oldest first.
    """
    state = Replay("", {}, [])
    epoch = 0
    for fact in facts:
        if fact.epoch < epoch:
            state.problems.append(f"epoch {fact.epoch} wrote after epoch {epoch}")
        epoch = max(epoch, fact.epoch)
        state.problems += _step(state, fact) if fact.step else _run(state, fact)
    return state


def _run(state: Replay, fact: Fact) -> Iterator[str]:
    if fact.new not in _RUN_WORDS:
        return  # a flag was raised; no move
    if fact.old == fact.new:
        return
    if fact.old != state.status:
        yield f"the run went from {fact.old} when it was {state.status}"
    elif not fact.old and fact.new != RunStatus.PENDING:
        yield f"the run began {fact.new}"
    elif fact.old and RunStatus(fact.new) not in RUN_MOVES[RunStatus(fact.old)]:
        yield f"the run went {fact.old} → {fact.new}, which is no legal move"
    state.status = fact.new


def _step(state: Replay, fact: Fact) -> Iterator[str]:
    if not fact.new:
        return  # a late answer, refused
    yield from _untimely(state, fact)
    place = (fact.direction, fact.step)
    before = state.steps.get(place, StepStatus.PENDING)
    if fact.old != before:
        yield f"{fact.step} ({fact.direction}) went from {fact.old} when it was {before}"
    elif StepStatus(fact.new) not in STEP_MOVES[StepStatus(fact.old)]:
        yield f"{fact.step} ({fact.direction}) went {fact.old} → {fact.new}: no legal move"
    state.steps[place] = fact.new


def _untimely(state: Replay, fact: Fact) -> Iterator[str]:
    """What a step may not do while the run is where it is."""
    if state.status in TERMINAL_RUNS:
        yield f"{fact.step} moved after the run was {state.status}"
    elif state.status == RunStatus.COMPENSATING and fact.direction == Direction.FORWARD:
        yield f"{fact.step} went forward while the run was compensating"
    elif state.status in _FORWARD and fact.direction == Direction.BACKWARD:
        yield f"{fact.step} went backward while the run was {state.status}"
    elif state.status in _STILL and fact.new == StepStatus.IN_FLIGHT:
        yield f"{fact.step} was claimed while the run was {state.status}"


_FORWARD = ACTIVE_RUNS[Direction.FORWARD]
_STILL = frozenset({RunStatus.PENDING, RunStatus.NEEDS_ATTENTION})
_RUN_WORDS = frozenset(status.value for status in RunStatus)

"""Is a run's history legal? Pure: it reads events and says what no engine may have done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sagas.states import (
    ACTIVE_RUNS,
    REWINDS,
    RUN_MOVES,
    STEP_MOVES,
    TERMINAL_RUNS,
    UNCLAIMED_RUNS,
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
    attempt: int = 0


@dataclass(slots=True)
class Replay:
    """Where the events say that the run and its steps stand, and what was wrong on the way.

    Steps are found by direction and name.
    """

    status: str
    steps: dict[tuple[str, str], str]
    problems: list[str]
    epoch: int = 0
    attempts: dict[tuple[str, str], int] = field(default_factory=dict)


def replay(facts: Iterable[Fact]) -> Replay:
    """Follow a run's events from its start.

    Args:
        facts: all events of one run, oldest first.
    """
    state = Replay("", {}, [])
    for fact in facts:
        if fact.epoch < state.epoch:
            state.problems.append(f"epoch {fact.epoch} wrote after epoch {state.epoch}")
        state.epoch = max(state.epoch, fact.epoch)
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
    elif fact.old and fact.new not in _RUN_MOVES.get(fact.old, ()):
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
    elif fact.new not in _STEP_MOVES.get(fact.old, ()) and not _rewound(state, fact):
        yield f"{fact.step} ({fact.direction}) went {fact.old} → {fact.new}: no legal move"
    state.steps[place] = fact.new
    state.attempts[place] = fact.attempt


def _rewound(state: Replay, fact: Fact) -> bool:
    """Whether a person let a step be done once more: only while the run needs attention."""
    back = fact.old in REWINDS and fact.new == StepStatus.PENDING
    return back and state.status == RunStatus.NEEDS_ATTENTION


def _untimely(state: Replay, fact: Fact) -> Iterator[str]:
    """What a step may not do while the run is where it is."""
    if state.status in TERMINAL_RUNS:
        yield f"{fact.step} moved after the run was {state.status}"
    elif state.status == RunStatus.COMPENSATING and fact.direction == Direction.FORWARD:
        yield f"{fact.step} went forward while the run was compensating"
    elif state.status in _FORWARD and fact.direction == Direction.BACKWARD:
        yield f"{fact.step} went backward while the run was {state.status}"
    elif state.status in UNCLAIMED_RUNS and fact.new == StepStatus.IN_FLIGHT:
        yield f"{fact.step} was claimed while the run was {state.status}"


_FORWARD = ACTIVE_RUNS[Direction.FORWARD]
_RUN_WORDS = frozenset(status.value for status in RunStatus)
# By plain words: a log that somebody wrote in may hold any.
_RUN_MOVES: Mapping[str, Collection[str]] = {old.value: new for old, new in RUN_MOVES.items()}
_STEP_MOVES: Mapping[str, Collection[str]] = {old.value: new for old, new in STEP_MOVES.items()}

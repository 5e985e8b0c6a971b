"""What the planner sees of a run: plain values, read at one moment."""

from __future__ import annotations

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID, uuid5

from sagas.states import (
    ACTIVE_RUNS,
    CLAIMABLE_STEPS,
    TERMINAL_RUNS,
    Direction,
    Halt,
    RunStatus,
    StepStatus,
)


@dataclass(slots=True)
class StepView:
    """One step row. ``id`` is None until it is stored."""

    id: int | None
    name: str
    direction: Direction
    position: int
    status: StepStatus = StepStatus.PENDING
    attempt: int = 0  # claims so far: the fencing token
    tries: int = 0  # calls of the action that count against its budget
    probes: int = 0  # calls of the verify that count against its budget
    losses: int = 0  # attempts in a row that died without an answer
    in_doubt: bool = False  # an earlier attempt may have had its effect
    doubted: bool = False  # so it was in this generation, until a verify found none
    generation: int = 1  # raised when a person has the step done once more
    free_in: float | None = None  # seconds until its due time, or until its lease is over
    elapsed: float = 0.0  # seconds since it was first claimed, when the view was read ...
    since: float = 0.0  # ... or at this age of the view, when it is claimed first
    waited: float = 0.0  # of these, in which no try could be made
    signal: str = ""  # that it waits for, or was called for, until it is settled ...
    correlation: str = ""  # ... and the key of that signal
    result: str | None = None  # JSON
    error: str = ""  # what its last attempt said that did not succeed
    worker: str = ""  # who has it in flight ...
    pid: int | None = None  # ... and in which of its processes
    claimed_at: float | None = None  # the monotonic time before this process wrote its claim

    def renew_key(self) -> None:
        """Give it another key; its clock starts anew with the next claim."""
        self.generation += 1
        self.doubted = False
        self.signal = self.correlation = ""
        self.waited = 0.0

    @property
    def awaits(self) -> bool:
        """Whether its time, or the end of its lease, makes it claimable."""
        return self.status in CLAIMABLE_STEPS

    @property
    def needs_worker(self) -> bool:
        """Whether a worker could claim it now: it is due, or its lease is over."""
        return self.awaits and self.free_in is not None and self.free_in <= 0

    @property
    def lost(self) -> bool:
        """Whether an attempt has it that will not answer any more: its lease is over."""
        return self.status is StepStatus.IN_FLIGHT and self.needs_worker

    @property
    def waits_for_a_try(self) -> bool:
        """Whether it did not work yet and comes up again later."""
        return self.status is StepStatus.READY and self.tries > 0 and not self.needs_worker


class StepState(Protocol):
    """What of a step a person may rely on."""

    name: str
    direction: Any
    status: Any
    attempt: int
    generation: int
    in_doubt: bool


def imprint(status: str, epoch: int, halt: str, owner: str, steps: Iterable[StepState]) -> str:
    """The imprint of a run from what it is made of; see ``RunView.imprint``."""
    rows = sorted(
        (str(s.direction), s.name, str(s.status), s.attempt, s.generation, s.in_doubt)
        for s in steps
    )
    parts = {"run": (str(status), epoch, str(halt)), "owner": owner, "steps": rows}
    return "".join(_hashed(parts[name], length) for name, length in _PARTS.items())


def changed(seen: str, now: str) -> frozenset[str]:
    """What differs between two imprints of a run: ``run``, ``owner``, ``steps``."""
    found, start = set(), 0
    for name, length in _PARTS.items():
        if seen[start : start + length] != now[start : start + length]:
            found.add(name)
        start += length
    return frozenset(found)


#: The parts of an imprint with their lengths, so that one can tell which of them changed.
_PARTS = {"run": 4, "owner": 4, "steps": 8}


def _hashed(part: Any, length: int) -> str:
    return urlsafe_b64encode(sha256(repr(part).encode()).digest()).decode()[:length]


@dataclass(slots=True)
class RunView:
    """One run with its steps. ``revision`` grows with every move: the optimistic lock."""

    id: UUID
    saga: str
    version: int
    fingerprint: str
    business_key: str
    payload: str | None  # JSON; None: neither it nor the results have been read
    status: RunStatus = RunStatus.PENDING
    epoch: int = 1
    revision: int = 0
    halt: Halt = Halt.NONE
    attention: str = ""
    error_group: str = ""  # what stopped it, in general words
    owner: str = ""  # who looks after it
    holds: frozenset[str] = frozenset()  # in force, as ``kind:target``; none on other runs
    now: datetime | None = None  # the database's time of reading
    deadline: datetime | None = None
    lifetime: float = 0.0  # seconds since it was started, when the view was read
    wake_in: float | None = None  # seconds until a sweep looks at it, when the view was read
    steps: dict[tuple[Direction, str], StepView] = field(default_factory=dict)
    read_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """Seconds since this view was read."""
        return time.monotonic() - self.read_at

    @property
    def clock(self) -> datetime:
        """The database's time, now: the worker's own clock only measures the distance."""
        assert self.now is not None, "only a view that was read has a clock"
        return self.now + timedelta(seconds=self.age)

    @property
    def started_at(self) -> datetime:
        """When it was started, by the database's clock."""
        assert self.now is not None, "only a view that was read has a clock"
        return self.now - timedelta(seconds=self.lifetime)

    @property
    def overdue(self) -> bool:
        """Whether the run's deadline has passed."""
        return self.deadline is not None and self.now is not None and self.clock >= self.deadline

    def elapsed(self, step: StepView) -> float:
        """Seconds since a step was first claimed, now."""
        return step.elapsed + max(0.0, self.age - step.since) if step.attempt else 0.0

    @property
    def over(self) -> bool:
        """Whether the run is in a terminal state."""
        return self.status in TERMINAL_RUNS

    def step(self, name: str, direction: Direction = Direction.FORWARD) -> StepView | None:
        """The row of a step in a direction, if there is one."""
        return self.steps.get((direction, name))

    def rows(self, direction: Direction) -> list[StepView]:
        """The rows of a direction, in order of position."""
        return [s for (d, _), s in self.steps.items() if d is direction]

    def undone(self, row: StepView) -> bool:
        """Whether a step happened, and its compensation too."""
        undo = self.step(row.name, Direction.BACKWARD)
        happened = row.direction is Direction.FORWARD and row.status is StepStatus.SUCCEEDED
        return happened and undo is not None and undo.status is StepStatus.SUCCEEDED

    @property
    def imprint(self) -> str:
        """A short text that is the same while the run stands as it does.

        The revision is not: a sweep that only looks at a run raises it too.
        """
        return imprint(self.status, self.epoch, self.halt, self.owner, self.steps.values())

    def copy(self) -> RunView:
        """The same run with rows of its own, to try moves on."""
        return replace(self, steps={place: replace(row) for place, row in self.steps.items()})

    def key_of(self, step: StepView) -> str:
        """The idempotency key: the same for every attempt of a step in one direction."""
        return str(uuid5(self.id, f"{step.name}:{step.direction}:{step.generation}"))


def direction_of(view: RunView) -> Direction:
    """The direction in which a run goes, or went when it stopped."""
    if view.status in ACTIVE_RUNS[Direction.FORWARD] or not view.rows(Direction.BACKWARD):
        return Direction.FORWARD
    return Direction.BACKWARD

"""A plan in the making: moves applied to a view and listed for the record's writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sagas.define.cause import general, plain
from sagas.define.view import RunView, StepView
from sagas.errors import IllegalMove
from sagas.states import (
    MOVING_RUNS,
    REWINDS,
    RUN_MOVES,
    SCHEDULED_STEPS,
    SETTLED_STEPS,
    STEP_MOVES,
    Direction,
    RunStatus,
    StepStatus,
)


@dataclass(slots=True)
class Change:
    """The new image of one step row. ``due_in`` is in seconds; None: nothing is scheduled."""

    row: StepView
    due_in: float | None = None
    error: str | None = None
    time_limit: float | None = None  # of the attempt that this change claims


@dataclass(frozen=True, slots=True)
class Happening:
    """One move, as the event log keeps it. ``step`` is empty for a move of the run."""

    step: str
    direction: Direction | None
    old: str
    new: str
    attempt: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Original:
    """What an attempt said, of which the other texts of the record show what is masked."""

    row: StepView
    attempt: int
    text: str


@dataclass(slots=True)
class Draft:
    """Moves of one run that will be written together, or not at all."""

    view: RunView
    changes: dict[tuple[Direction, str], Change] = field(default_factory=dict)
    events: list[Happening] = field(default_factory=list)
    woken: list[StepView] = field(default_factory=list)  # could be claimed while the run stood
    claimed: StepView | None = None  # the step that this worker performs next ...
    unless: frozenset[str] = frozenset()  # ... if none of these holds is in force by then
    owner: str | None = None  # who looks after the run from now on
    amended: str | None = None  # JSON: the payload from now on ...
    title: str | None = None  # ... and what people know the run by then
    version: int | None = None  # of its saga, from now on ...
    fingerprint: str | None = None  # ... and what that pins
    original: Original | None = None  # kept apart, for those who may reveal it

    def __bool__(self) -> bool:
        return bool(self.events)

    def step(
        self,
        row: StepView,
        to: StepStatus,
        *,
        due_in: float | None = None,
        error: str | None = None,
        time_limit: float | None = None,
        **data: Any,
    ) -> None:
        """Move a step.

        Raises:
            IllegalMove: the table of moves does not allow it.
        """
        if to not in STEP_MOVES[row.status]:
            raise IllegalMove(f"Step {row.name!r} ({row.direction}) cannot go {row.status} → {to}.")
        self._move(row, Change(row, due_in, error, time_limit), to, data)

    def rewind(self, row: StepView) -> None:
        """Let a step of a run that needs attention be done once more, with a new key.

        Raises:
            IllegalMove: the run is at work, or the step is in flight or in question.
        """
        parked = self.view.status is RunStatus.NEEDS_ATTENTION
        if not parked or row.status not in REWINDS or row.in_doubt:
            raise IllegalMove(f"Step {row.name!r} of run {self.view.id} cannot be rewound.")
        row.tries = row.probes = row.losses = 0
        row.renew_key()
        row.result = None
        self._move(row, Change(row, error=""), StepStatus.PENDING, {"rewound": True})

    def run(self, to: RunStatus, **data: Any) -> None:
        """Move the run.

        Raises:
            IllegalMove: the table of moves does not allow it.
        """
        old = self.view.status
        if to not in RUN_MOVES[old]:
            raise IllegalMove(f"Run {self.view.id} cannot go {old} → {to}.")
        self.view.status = to
        self.events.append(Happening("", None, old, to, 0, data))

    def hasten(self, row: StepView) -> None:
        """Make a step due now that waits for its next try; its state stays as it is."""
        self._due_now(row, {"now": True})

    def hand_over(self, row: StepView) -> None:
        """Make a waiting step due now: the signal that it waits for has come."""
        self._due_now(row, {"signal": row.signal})

    def put_off(self, row: StepView, due_in: float | None, error: str) -> None:
        """Change when a step is due; its state stays as it is, and what it waits for."""
        row.free_in, row.error = due_in, error
        change = Change(row, due_in, error=error)
        self.changes[row.direction, row.name] = change
        data = {"put_off": due_in, "reason": error}
        self.events.append(Happening(row.name, row.direction, "", "", row.attempt, data))

    def renew(self, row: StepView) -> None:
        """Give a step a new key that waits for its next try; when it is due stays as it is."""
        row.renew_key()
        self.changes[row.direction, row.name] = Change(row, row.free_in)
        self.events.append(Happening(row.name, row.direction, "", "", row.attempt, {"key": "new"}))

    def wake(self, direction: Direction) -> None:
        """Let what became due while the run stood be due from now on, so that it is sent at once.

        The time since then counts for nothing: neither as a try's, nor as time that is overdue.
        """
        for row in self.view.rows(direction):
            if not row.needs_worker:
                continue
            self.woken.append(row)
            if row.status in SCHEDULED_STEPS:
                row.waited += -row.free_in if row.attempt and row.free_in else 0.0
                row.free_in = 0
                self.changes[direction, row.name] = Change(row, 0)

    def park(self, reason: str, *, group: str = "") -> None:
        """Stop the run until a person decides; what was scheduled stays where it is.

        Args:
            group: the reason in words that are the same for every run that it stops.
        """
        reason = plain(reason)
        self.claimed = None
        if self.view.status is RunStatus.NEEDS_ATTENTION:
            self.note(RunStatus.NEEDS_ATTENTION, RunStatus.NEEDS_ATTENTION, reason=reason)
            return
        self.view.attention = reason
        self.view.error_group = group or general(reason)
        self.run(RunStatus.NEEDS_ATTENTION, reason=reason)

    def note(self, old: str, new: str, **data: Any) -> None:
        """Log something that happened to the run and moved nothing."""
        self.events.append(Happening("", None, old, new, 0, data))

    @property
    def moves_run(self) -> bool:
        """Whether the run itself moves, or one of its flags does."""
        return any(not event.step for event in self.events)

    def late(self, row: StepView, attempt: int, outcome: str, *, stray: bool = False) -> None:
        """Log an answer that came after its attempt had been taken over.

        Args:
            stray: it tells of an effect that nothing else accounts for.
        """
        data: dict[str, Any] = {"late_answer": outcome} | ({"stray": True} if stray else {})
        self.events.append(Happening(row.name, row.direction, "", "", attempt, data))

    @property
    def to_send(self) -> list[StepView]:
        """Steps that became claimable here and that some worker must be told about."""
        if self.view.status not in MOVING_RUNS:
            return []
        lapsed = [row for row in self.woken if (row.direction, row.name) not in self.changes]
        rows = [change.row for change in self.changes.values()]
        return [row for row in (*rows, *lapsed) if row.needs_worker]

    def _due_now(self, row: StepView, data: dict[str, Any]) -> None:
        row.free_in = 0
        self.changes[row.direction, row.name] = Change(row, 0)
        self.events.append(Happening(row.name, row.direction, "", "", row.attempt, data))

    def _move(self, row: StepView, change: Change, to: StepStatus, data: dict[str, Any]) -> None:
        old, row.status, row.free_in = row.status, to, change.due_in
        row.error = row.error if change.error is None else change.error
        if to in _WAITS_NO_MORE:
            row.signal = row.correlation = ""
        self.changes[row.direction, row.name] = change
        if change.error:
            data["reason"] = change.error
        self.events.append(Happening(row.name, row.direction, old, to, row.attempt, data))


# A step that gave up keeps it: a person may have it tried again.
_WAITS_NO_MORE = SETTLED_STEPS | {StepStatus.PENDING}

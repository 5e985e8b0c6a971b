"""A plan in the making: moves applied to a view and listed for the record's writer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sagas.define.cause import general
from sagas.define.view import RunView, StepView
from sagas.errors import IllegalMove
from sagas.states import REWINDS, RUN_MOVES, STEP_MOVES, Direction, RunStatus, StepStatus


@dataclass(slots=True)
class Change:
    """The new image of one step row. ``due_in`` is in seconds; None: nothing is scheduled."""

    row: StepView
    due_in: float | None = None
    signal: str = ""
    correlation: str = ""
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


@dataclass(slots=True)
class Draft:
    """Moves of one run that will be written together, or not at all."""

    view: RunView
    changes: dict[tuple[Direction, str], Change] = field(default_factory=dict)
    events: list[Happening] = field(default_factory=list)
    claimed: StepView | None = None  # the step that this worker performs next ...
    unless: frozenset[str] = frozenset()  # ... if none of these holds is in force by then
    owner: str | None = None  # who looks after the run from now on
    amended: str | None = None  # JSON: the payload from now on

    def __bool__(self) -> bool:
        return bool(self.events)

    def step(
        self,
        row: StepView,
        to: StepStatus,
        *,
        due_in: float | None = None,
        signal: str = "",
        correlation: str = "",
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
        self._move(row, Change(row, due_in, signal, correlation, error, time_limit), to, data)

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
        row.free_in = 0
        self.changes[row.direction, row.name] = Change(row, 0)
        self.events.append(Happening(row.name, row.direction, "", "", row.attempt, {"now": True}))

    def renew(self, row: StepView) -> None:
        """Give a step a new key that waits for its next try; when it is due stays as it is."""
        row.renew_key()
        self.changes[row.direction, row.name] = Change(row, row.free_in)
        self.events.append(Happening(row.name, row.direction, "", "", row.attempt, {"key": "new"}))

    def park(self, reason: str, *, group: str = "") -> None:
        """Stop the run until a person decides; what was scheduled stays where it is.

        Args:
            group: the reason in words that are the same for every run that it stops.
        """
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
        rows = (change.row for change in self.changes.values())
        return [row for row in rows if row.needs_worker]

    def _move(self, row: StepView, change: Change, to: StepStatus, data: dict[str, Any]) -> None:
        old, row.status, row.free_in = row.status, to, change.due_in
        self.changes[row.direction, row.name] = change
        if change.error:
            data["reason"] = change.error
        self.events.append(Happening(row.name, row.direction, old, to, row.attempt, data))

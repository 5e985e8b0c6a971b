"""A run as the record keeps it, without a database: only what a draft names is written."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

from sagas.define.draft import Draft
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.history import Fact
from sagas.states import Direction, StepStatus

Place = tuple[Direction, str]
_START = datetime(2030, 1, 1, tzinfo=UTC)
_CLAIMABLE = (StepStatus.READY, StepStatus.UNKNOWN, StepStatus.WAITING, StepStatus.IN_FLIGHT)


class Stored:
    """One stored run, and the database's clock.

    Attributes:
        run: what is stored of the run and its steps.
        now: seconds since the run was started.
        due: when what is scheduled may be claimed.
        lapsed: steps in flight whose lease is over.
        paused: an operator's hold is on the run.
        facts: the event log.
    """

    def __init__(self, saga: Definition, deadline: float | None) -> None:
        self.run = RunView(UUID(int=1), saga.name, 1, saga.fingerprint, "k", "{}")
        if deadline is not None:
            self.run.deadline = _START + timedelta(seconds=deadline)
        self.now = 0.0
        self.due: dict[Place, float] = {}
        self.lapsed: set[Place] = set()
        self.paused = False
        self.facts: list[Fact] = []
        self._ids = count(1)

    def read(self) -> RunView:
        """The run as a worker reads it now: a copy of its own."""
        steps = {
            place: replace(row, free_in=self._free_in(place))
            for place, row in self.run.steps.items()
        }
        now = _START + timedelta(seconds=self.now)
        holds = frozenset({f"run:{self.run.id}"} if self.paused else ())
        return replace(self.run, steps=steps, now=now, holds=holds, read_at=time.monotonic())

    def write(self, draft: Draft) -> None:
        """Store what a draft moves, and nothing else that it may have touched."""
        view = draft.view
        if draft.moves_run:
            self.run.status, self.run.epoch = view.status, view.epoch
            self.run.halt, self.run.attention = view.halt, view.attention
        for place, row in view.steps.items():
            if row.id is None:
                row.id = next(self._ids)
                self.run.steps[place] = replace(row)
        for place, change in draft.changes.items():
            self.run.steps[place] = replace(change.row)
            self.lapsed.discard(place)
            self.due.pop(place, None)
            if change.due_in is not None:
                self.due[place] = self.now + change.due_in
        self.facts += [
            Fact(e.step, e.direction or "", e.old, e.new, view.epoch) for e in draft.events
        ]

    def row(self, place: Place) -> StepView | None:
        return self.run.steps.get(place)

    def claimable(self, place: Place) -> bool:
        """Whether the step is due, or its attempt's lease is over, and no hold is on the run."""
        row = self.row(place)
        if self.paused or row is None or row.status not in _CLAIMABLE:
            return False
        if row.status is StepStatus.IN_FLIGHT:
            return place in self.lapsed
        return place in self.due and self.due[place] <= self.now

    @property
    def overdue(self) -> bool:
        """Whether the run's deadline has passed."""
        deadline = self.run.deadline
        return deadline is not None and _START + timedelta(seconds=self.now) >= deadline

    def _free_in(self, place: Place) -> float | None:
        if self.run.steps[place].status is StepStatus.IN_FLIGHT:
            return -1.0 if place in self.lapsed else 30.0
        return self.due[place] - self.now if place in self.due else None

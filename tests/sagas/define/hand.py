"""A run moved by hand, on the planner alone: for tests that need steps in flight side by side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.outcome import Outcome
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.history import Fact, replay
from sagas.states import Direction, Halt, StepStatus

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
_NOW = datetime(2030, 1, 1, tzinfo=UTC)
Holds = Callable[[Step], bool]


class Hand:
    """A run and the moves that were made. Every move is checked to be legal history.

    Attributes:
        view: the run as it stands.
        drafts: every draft, oldest first.
    """

    def __init__(
        self,
        saga: Definition,
        *,
        carries: bool = False,
        holds: Holds | None = None,
        poison: int = 5,
    ) -> None:
        self.saga = saga
        self.view = RunView(UUID(int=1), saga.name, 1, saga.fingerprint, "k", "{}", now=_NOW)
        self.drafts: list[Draft] = []
        self._worker = Worker(lambda step, way: carries, holds or (lambda step: True), poison)
        self._note(plan.begin(saga, self.view, self._worker))

    def claim(self, name: str, way: Direction = FORWARD) -> Draft:
        """A worker gets a message for a step that is due."""
        if (row := self.row(name, way)).status is not StepStatus.IN_FLIGHT:
            row.free_in = 0
        return self.take(name, way)

    def take(self, name: str, way: Direction = FORWARD) -> Draft:
        """The same, of a step for which it is left as it is when it is due."""
        return self._note(plan.claim(self.saga, self.view, name, way, self._worker))

    def answer(self, name: str, outcome: Outcome, way: Direction = FORWARD) -> Draft:
        """The attempt that is in flight answers."""
        row = self.row(name, way)
        assert row.status is StepStatus.IN_FLIGHT, f"{name} is {row.status}"
        return self._note(plan.settle(self.saga, self.view, row, outcome, self._worker))

    def signal(self, name: str) -> Draft:
        """The signal comes that a step waits for."""
        row = self.row(name)
        assert row.status is StepStatus.WAITING, f"{name} is {row.status}"
        return self._note(plan.hand_over(self.view, row))

    def do(self, name: str, outcome: Outcome, way: Direction = FORWARD) -> Draft:
        """Claim a step and answer."""
        self.claim(name, way)
        return self.answer(name, outcome, way)

    def lose(self, name: str, way: Direction = FORWARD) -> Draft:
        """The attempt in flight dies, and the next message finds its lease lapsed."""
        row = self.row(name, way)
        assert row.status is StepStatus.IN_FLIGHT, f"{name} is {row.status}"
        row.free_in = -1
        return self._note(plan.claim(self.saga, self.view, name, way, self._worker))

    def cancel(self) -> Draft:
        """A person cancels."""
        return self._note(plan.halt(self.saga, self.view, Halt.CANCELLED, self._worker))

    def pass_deadline(self) -> None:
        """Let the run be overdue from now on."""
        self.view.deadline = _NOW - timedelta(seconds=1)

    def row(self, name: str, way: Direction = FORWARD) -> StepView:
        """The row of a step."""
        return self.view.steps[way, name]

    def states(self, way: Direction = FORWARD) -> dict[str, str]:
        """How the steps of a direction stand."""
        return {row.name: str(row.status) for row in self.view.rows(way)}

    @property
    def last(self) -> Draft:
        """The last draft."""
        return self.drafts[-1]

    def _note(self, draft: Draft) -> Draft:
        self.drafts.append(draft)
        facts = [
            Fact(e.step, e.direction or "", e.old, e.new, self.view.epoch)
            for draft in self.drafts
            for e in draft.events
        ]
        told = replay(facts)
        assert told.problems == []
        assert told.status == self.view.status
        return draft

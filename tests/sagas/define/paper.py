"""Runs on paper: random partners, workers and mishaps, played on the planner alone.

The partners here know what really happened, so that what the record says can be compared with it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.outcome import (
    Done,
    NotApplied,
    NotAsked,
    Outcome,
    Refused,
    RetryLater,
    Unknown,
    Wait,
)
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.step import Kind, Step
from sagas.define.view import RunView, StepView
from sagas.history import Fact
from sagas.states import ACTIVE_RUNS, Direction, Halt, StepStatus

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
Place = tuple[Direction, str]
_START = datetime(2030, 1, 1, tzinfo=UTC)
_POISON = 3
_MOST_MOVES = 2000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claim, as its worker remembers it."""

    place: Place
    epoch: int
    number: int
    verifies: bool


@dataclass
class Paper:
    """One run with all that befalls it.

    Attributes:
        trouble: how many bad answers and lost workers there may still be.
        duplicates: how many messages may still come that nobody waits for.
        cancels: whether somebody may still cancel the run.
        deadline: seconds until the run is overdue.
        effects: how often each step really happened, in each direction.
        calls: every call of an action or compensation, in order.
        grounds: what happened that a person may have to look at.
        story: what happened, for people.
    """

    saga: Definition
    dice: random.Random
    trouble: int = 0
    duplicates: int = 0
    cancels: bool = False
    deadline: float | None = None
    effects: Counter[Place] = field(default_factory=Counter)
    calls: list[Place] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    grounds: set[str] = field(default_factory=set)
    story: list[str] = field(default_factory=list)
    _now: float = 0.0
    _due: dict[Place, float] = field(default_factory=dict)
    _flying: list[Attempt] = field(default_factory=list)
    _lost: set[Place] = field(default_factory=set)

    def __post_init__(self) -> None:
        saga = self.saga
        self.view = RunView(UUID(int=1), saga.name, 1, saga.fingerprint, "paper", "{}")
        if self.deadline is not None:
            self.view.deadline = _START + timedelta(seconds=self.deadline)

    def play(self) -> Paper:
        """Let things happen, one at a time and in any order, until nothing can.

        Raises:
            AssertionError: the run does not end.
        """
        self._absorb(plan.begin(self.saga, self._read(), self._worker()), "begin")
        for _ in range(_MOST_MOVES):
            moves = list(self._moves())
            if not moves:
                return self
            self.dice.choice(moves)()
        raise AssertionError("the run does not end")

    def _moves(self) -> Iterator[Callable[[], None]]:
        for attempt in self._flying:
            yield partial(self._answer, attempt)
            if self.trouble:
                yield partial(self._lose, attempt)
        for place in self._claimable():
            yield partial(self._claim, *place)
        if self.duplicates:
            yield self._duplicate
        if self.cancels and self._cancellable():
            yield self._cancel

    def _claimable(self) -> Iterator[Place]:
        for place, row in self.view.steps.items():
            scheduled = place in self._due and not self._called_off(row)
            if self.view.status in ACTIVE_RUNS[place[0]] and (scheduled or place in self._lost):
                yield place

    def _called_off(self, row: StepView) -> bool:
        """Whether it will not be done: its run only finds out what is in doubt, to turn back."""
        halting = bool(self.view.halt) and row.direction is FORWARD
        return halting and row.status in (StepStatus.READY, StepStatus.WAITING)

    def _cancellable(self) -> bool:
        view = self.view
        forward = view.status in ACTIVE_RUNS[FORWARD]
        return forward and not view.halt and not plan.past_pivot(self.saga, view)

    # --- what may happen -------------------------------------------------------------------

    def _claim(self, direction: Direction, name: str) -> None:
        """A worker gets a message for a step; time passes until it is due."""
        self._now = max(self._now, self._due.get((direction, name), self._now))
        draft = plan.claim(self.saga, self._read(), name, direction, self._worker())
        assert draft, f"{direction} {name} is due and cannot be claimed"
        self._absorb(draft, f"claim {direction} {name}")

    def _duplicate(self) -> None:
        """A message comes for any step, whether or not anybody sent one."""
        self.duplicates -= 1
        direction, name = (
            self.dice.choice((FORWARD, BACKWARD)),
            self.dice.choice([*self.saga.steps]),
        )
        draft = plan.claim(self.saga, self._read(), name, direction, self._worker())
        self._absorb(draft, f"a message for {direction} {name}")

    def _cancel(self) -> None:
        self.cancels = False
        draft = plan.halt(self.saga, self._read(), Halt.CANCELLED, self._worker())
        self._absorb(draft, "cancel")

    def _lose(self, attempt: Attempt) -> None:
        """A worker dies, with or without the effect."""
        self.trouble -= 1
        self.grounds.add("a worker was lost")
        self._flying.remove(attempt)
        self._lost.add(attempt.place)
        if not attempt.verifies:
            self.calls.append(attempt.place)
            if not self._step(attempt).atomic and self.dice.random() < 0.5:
                self._happen(attempt.place)
        self.story.append(f"lost {attempt.place}: {self.effects[attempt.place]} effects")

    def _answer(self, attempt: Attempt) -> None:
        self._flying.remove(attempt)
        outcome = self._verified(attempt) if attempt.verifies else self._called(attempt)
        view = self._read()
        row = view.steps[attempt.place]
        found = (view.epoch, row.attempt, row.status)
        assert found == (attempt.epoch, attempt.number, StepStatus.IN_FLIGHT), "nobody took it over"
        draft = plan.settle(self.saga, view, row, outcome, self._worker())
        self._absorb(draft, f"{attempt.place[0]} {attempt.place[1]}: {outcome}")

    # --- the partners ----------------------------------------------------------------------

    def _verified(self, attempt: Attempt) -> Outcome:
        if self._bad():
            return self.dice.choice((Unknown("?"), Refused("?"), RetryLater("?"), NotAsked("?")))
        return Done() if self.effects[attempt.place] else NotApplied()

    def _called(self, attempt: Attempt) -> Outcome:
        place, step = attempt.place, self._step(attempt)
        self.calls.append(place)
        if not self._bad():
            self._happen(place)
            return Done()
        outcome = self.dice.choice(list(self._bad_answers(place, step)))
        if isinstance(outcome, Unknown) and self.dice.random() < 0.5:
            self._happen(place)
        self._note_grounds(place, step, outcome)
        return outcome

    def _bad_answers(self, place: Place, step: Step) -> Iterator[Outcome]:
        yield Wait(1.0)
        if not (self.effects[place] and self._deduplicates(place)):
            yield Refused("no")
        if not step.waits:
            yield RetryLater("busy")
            yield NotAsked("open")
            if not step.atomic:
                yield Unknown("reset")

    def _note_grounds(self, place: Place, step: Step, outcome: Outcome) -> None:
        if isinstance(outcome, NotAsked):
            return
        if isinstance(outcome, Unknown):
            self.grounds.add("an outcome was unknown")
        if place[0] is BACKWARD:
            self.grounds.add("a compensation did not work")
        if step.kind is Kind.RETRIABLE and isinstance(outcome, Refused):
            self.grounds.add("a step was refused after the pivot")

    def _bad(self) -> bool:
        if self.trouble and self.dice.random() < 0.5:
            self.trouble -= 1
            return True
        return False

    def _happen(self, place: Place) -> None:
        if not self.saga.steps[place[1]].waits:
            repeated = self.effects[place] and self._deduplicates(place)
            self.effects[place] += 0 if repeated else 1

    def _deduplicates(self, place: Place) -> bool:
        return place[0] is BACKWARD or self.saga.steps[place[1]].idempotent

    # --- the record ------------------------------------------------------------------------

    def _read(self) -> RunView:
        self.view.now = _START + timedelta(seconds=self._now)
        for place, row in self.view.steps.items():
            row.free_in = (
                -1 if place in self._lost else self._due.get(place, self._now + 1) - self._now
            )
            if row.status is StepStatus.IN_FLIGHT and place not in self._lost:
                row.free_in = 1
        return self.view

    def _absorb(self, draft: Draft, what: str) -> None:
        events = [f"{e.direction or 'run'} {e.step} {e.old}→{e.new}" for e in draft.events]
        self.story.append(f"{what} ⇒ {'; '.join(events)}")
        for e in draft.events:
            fact = Fact(e.step, e.direction or "", e.old, e.new, self.view.epoch)
            self.facts.append(fact)
        for place, change in draft.changes.items():
            self._due.pop(place, None)
            self._lost.discard(place)
            if change.due_in is not None:
                self._due[place] = self._now + change.due_in
        if (row := draft.claimed) is not None:
            place = (row.direction, row.name)
            verifies = plan.probing(self.saga.steps[row.name], row)
            self._flying.append(Attempt(place, self.view.epoch, row.attempt, verifies))

    def _worker(self) -> Worker:
        def carries(step: Step, direction: Direction) -> bool:
            return self.dice.random() < 0.5

        def holds(step: Step) -> bool:
            return step.when is None or step.when(None)  # type: ignore[arg-type]

        return Worker(carries, holds, _POISON)

    def _step(self, attempt: Attempt) -> Step:
        return self.saga.steps[attempt.place[1]]

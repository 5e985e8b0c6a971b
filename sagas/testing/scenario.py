"""Play a saga on the planner alone: say what each step answers, and expect how the run ends."""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel

from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.outcome import (
    RAISED,
    Done,
    Mismatch,
    Outcome,
    Wait,
    outcome_of,
)
from sagas.define.plan import Worker, probing
from sagas.define.saga import Definition
from sagas.define.step import Action, Step
from sagas.define.view import RunView, StepView
from sagas.run import title as run_title
from sagas.run.context import AtHand, condition, run_context
from sagas.run.send import nothing
from sagas.run.step import settled, waiting
from sagas.states import ACTIVE_RUNS, SCHEDULED_STEPS, Direction, Halt, RunStatus, StepStatus

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_CALLS = 10_000


def given(saga: Definition, payload: BaseModel | dict[str, Any], key: str = "test") -> Scenario:
    """Begin a scenario: this saga is started with this payload.

    Raises:
        PayloadInvalid: the payload does not fit the saga.
        SagaError: the saga's ``title`` gives no text, or asks a database; what else it raises too.
    """
    valid = saga.validated(payload)
    run_title.made(saga, valid)
    document = json.dumps(saga.plain(valid))
    view = RunView(UUID(int=1), saga.name, saga.version, saga.fingerprint, key, document)
    return Scenario(saga, view)


@dataclass
class Scenario:
    """A run on paper. Unscripted steps answer ``Done(None)``; time passes by itself.

    Attributes:
        calls: every call in order, as ``do NAME``, ``verify NAME`` or ``undo NAME``.
    """

    saga: Definition
    view: RunView
    calls: list[str] = field(default_factory=list)
    _scripts: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    _signals: dict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    _at_hand: dict[tuple[Direction, str], AtHand] = field(default_factory=dict)
    _cancel_after: str = ""
    _now: float = 0.0
    _due: dict[tuple[Direction, str], float] = field(default_factory=dict)
    _first: dict[tuple[Direction, str], float] = field(default_factory=dict)
    _played: bool = False

    def when(self, step: str, *answers: Any) -> Self:
        """What the step's action answers: one answer a call, the last one for ever.

        Args:
            answers: outcomes (``Refused``, ``RetryLater``, ``Unknown``, ``Wait``), results, or
                functions that get the run and give either, such as ``step.action`` itself.
        """
        return self._script("do", step, answers)

    def when_verifying(self, step: str, *answers: Any) -> Self:
        """What the step's verify answers: a result, ``NotApplied()`` or ``Unknown(...)``."""
        return self._script("verify", step, answers)

    def when_undoing(self, step: str, *answers: Any) -> Self:
        """What the step's compensation answers."""
        return self._script("undo", step, answers)

    def signal(self, name: str, payload: Any = None) -> Self:
        """A signal that the run will find when it waits for it."""
        self._signals[name].append(payload)
        return self

    def cancelled_after(self, step: str) -> Self:
        """Somebody cancels the run when this step's action has answered."""
        self._named(step)
        self._cancel_after = step
        return self

    def expect(
        self,
        status: RunStatus | str,
        *,
        calls: list[str] | None = None,
        done: list[str] | None = None,
        undone: list[str] | None = None,
        skipped: list[str] | None = None,
    ) -> Self:
        """Play the scenario and compare.

        Args:
            status: how the run must end.
            calls: exactly these calls in this order.
            done, undone, skipped: the steps in that state at the end, in the saga's order
                (``undone`` in the order of undoing).

        Raises:
            AssertionError: something differs; it lists what happened.
        """
        self.play()
        found: dict[str, Any] = {"status": self.view.status}
        wanted: dict[str, Any] = {"status": RunStatus(status)}
        for name, value in (("calls", calls), ("done", done), ("undone", undone)):
            if value is not None:
                wanted[name], found[name] = value, getattr(self, name)
        if skipped is not None:
            wanted["skipped"], found["skipped"] = skipped, self._in(StepStatus.SKIPPED)
        if wanted != found:
            story = "\n  ".join([*self.calls, f"→ {self.view.status} {self.view.attention}"])
            raise AssertionError(f"expected {wanted}\n     got {found}\nStory:\n  {story}")
        return self

    @property
    def done(self) -> list[str]:
        """The steps that have succeeded."""
        return self._in(StepStatus.SUCCEEDED)

    @property
    def undone(self) -> list[str]:
        """The steps whose compensation has succeeded, in the order of undoing."""
        order = [call.removeprefix("undo ") for call in self.calls if call.startswith("undo ")]
        rows = {r.name: r.status for r in self.view.rows(Direction.BACKWARD)}
        return [n for n in dict.fromkeys(order) if rows[n] is StepStatus.SUCCEEDED]

    def play(self) -> Self:
        """Run until nothing is left to do."""
        if not self._played:
            self._played = True
            self._absorb(plan.begin(self.saga, self._dated(), self._worker()))
            while (row := self._next()) is not None:
                self._turn(row)
                if len(self.calls) > _MOST_CALLS:
                    raise AssertionError(f"The run does not end: {self.calls[-5:]}")
        return self

    def _turn(self, row: StepView) -> None:
        row.free_in = 0
        draft = plan.claim(self.saga, self._dated(), row.name, row.direction, self._worker())
        self._absorb(draft)
        while draft.claimed is not None:
            claimed = draft.claimed
            outcome = self._handed(claimed, self._call(claimed))
            draft = plan.settle(self.saga, self._dated(), claimed, outcome, self._worker())
            self._absorb(draft)
            if claimed.name == self._cancel_after and not plan.past_pivot(self.saga, self.view):
                self._cancel_after = ""
                self._absorb(plan.halt(self.saga, self.view, Halt.CANCELLED, self._worker()))

    def _call(self, row: StepView) -> Outcome:
        step, place = self.saga.steps[row.name], (row.direction, row.name)
        self._first.setdefault(place, self._now)
        row.elapsed, row.since = self._now - self._first[place], math.inf  # only paper time counts
        verb = "undo" if row.direction is Direction.BACKWARD else "do"
        verb = "verify" if probing(step, row) else verb
        self.calls.append(f"{verb} {row.name}")
        script = self._scripts[f"{verb} {row.name}"]
        answer = script.popleft() if len(script) > 1 else (script[0] if script else None)
        if step.waits or (callable(answer) and outcome_of(answer) is None):
            action: Any = step.action if step.waits else answer
            answer = self._called(action, row)
            if step.waits and answer is None:
                return Done("null")
        outcome = outcome_of(answer) or self._result(step, answer, verb)
        return waiting(step, outcome) if isinstance(outcome, Wait) else outcome

    def _called(self, action: Action, row: StepView) -> Any:
        signal = self._at_hand.get((row.direction, row.name)) if row.signal else None
        try:
            return action(run_context(self.saga, self._dated(), row, signal=signal))
        except RAISED as outcome:
            return outcome

    def _handed(self, row: StepView, outcome: Outcome) -> Outcome:
        """What a step answered; if it waits for a signal that has come, it waits no longer."""
        place = (row.direction, row.name)
        if isinstance(outcome, Done | Wait):
            self._at_hand.pop(place, None)
        if not isinstance(outcome, Wait) or not self._signals[outcome.signal]:
            return outcome
        payload = json.dumps(self._signals[outcome.signal].popleft())
        self._at_hand[place] = AtHand(outcome.signal, payload, self._dated().clock)
        return replace(outcome, seconds=0.0)

    def _result(self, step: Step, answer: Any, verb: str) -> Outcome:
        if answer is None or verb == "undo":
            return Done()
        outcome = settled(step, answer)
        if isinstance(outcome, Mismatch):
            raise ValueError(f"The scenario's answer is unfit: {outcome.reason}.")
        return outcome

    def _next(self) -> StepView | None:
        """The next row that a worker could take, letting time pass until one is due."""
        active = [d for d in Direction if self.view.status in ACTIVE_RUNS[d]]
        rows = [row for d in active for row in self.view.rows(d) if row.status in SCHEDULED_STEPS]
        dated = [(self._due[r.direction, r.name], r) for r in rows if self._is_scheduled(r)]
        if not dated:
            return None
        due, row = min(dated, key=lambda pair: pair[0])
        self._now = max(self._now, due)
        return row

    def _is_scheduled(self, row: StepView) -> bool:
        return (row.direction, row.name) in self._due

    def _absorb(self, draft: Draft) -> None:
        for place, change in draft.changes.items():
            self._due.pop(place, None)
            if change.due_in is not None:
                self._due[place] = self._now + change.due_in + _TICK

    def _worker(self) -> Worker:
        return Worker(nothing, condition(self.saga, self.view))

    def _dated(self) -> RunView:
        self.view.now = _EPOCH + timedelta(seconds=self._now)
        self.view.lifetime = self._now
        self.view.read_at = time.monotonic()
        return self.view

    def _script(self, verb: str, step: str, answers: tuple[Any, ...]) -> Self:
        self._scripts[f"{verb} {self._named(step)}"].extend(answers)
        return self

    def _named(self, step: str) -> str:
        if step not in self.saga.steps:
            raise LookupError(f"{self.saga!r} has no step {step!r}; it has {list(self.saga.steps)}")
        return step

    def _in(self, status: StepStatus) -> list[str]:
        return [r.name for r in self.view.rows(Direction.FORWARD) if r.status is status]


_TICK = 0.001  # a view's clock runs on while it is planned with

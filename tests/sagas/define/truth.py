"""What must hold for a run at every moment, held against what really happened at the partners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sagas.define.draft import Draft, Happening
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.states import ACTIVE_RUNS, TERMINAL_RUNS, Direction, RunStatus, StepStatus
from tests.sagas.define.book import BACKWARD, FORWARD, before, tolerates_doubt
from tests.sagas.define.stored import Place

_R, _S = RunStatus, StepStatus
_BACK = (_R.COMPENSATING, _R.COMPENSATED)
_MOVING = (_S.READY, _S.IN_FLIGHT, _S.UNKNOWN, _S.WAITING)


@dataclass
class Truth:
    """How often each step really happened, in each direction."""

    saga: Definition
    effects: Counter[Place] = field(default_factory=Counter)
    written_off: set[Place] = field(default_factory=set)  # an operator skipped them
    risked: set[Place] = field(default_factory=set)  # an operator had them done again on doubt
    passed: set[str] = field(default_factory=set)  # optional, and the run went on without them

    def __post_init__(self) -> None:
        self._before = set(before(self.saga.tree))

    def forget(self, name: str) -> None:
        """An operator has the step done again: what happened so far is the operator's affair."""
        del self.effects[FORWARD, name]
        self.passed.discard(name)
        self.written_off.discard((FORWARD, name))

    def wrongs(self, run: RunView) -> Iterator[str]:
        """What is wrong with a run as it stands."""
        pivot = self.saga.pivot
        if pivot and self.effects[FORWARD, pivot.name] and run.status in _BACK:
            yield f"I8: {run.status}, although the pivot happened"
        yield from self._disagreements(run)
        yield from (
            f"I3: {p} has {times} effects"
            for p, times in self.effects.items()
            if times > 1 and p not in self.risked
        )
        for name in self.saga.steps:
            yield from self._untold(run, name)

    def misdeeds(self, run: RunView, draft: Draft, due: Place | None) -> Iterator[str]:
        """What is wrong with a draft for this run.

        Args:
            due: the step whose message the worker got, if it may be claimed now.
        """
        if run.status in TERMINAL_RUNS and any(event.new for event in draft.events):
            yield f"I9: something moved after the run was {run.status}"
        back = [e.old for e in draft.events if not e.step and e.new == _R.COMPENSATING]
        turned = any(old != _R.NEEDS_ATTENTION for old in back)  # else it goes on turning
        if draft.view.epoch != run.epoch + turned:
            yield f"I10: epoch {run.epoch} became {draft.view.epoch}"
        for event in draft.events:
            if event.step and event.new == _S.FAILED and self.saga.steps[event.step].optional:
                self.passed.add(event.step)
            if event.step and event.new == _S.IN_FLIGHT:
                yield from self._untimely(draft, event, due)

    def _disagreements(self, run: RunView) -> Iterator[str]:
        """I1, I9: the run's status and its steps' tell the same story."""
        forward, backward = run.rows(FORWARD), run.rows(BACKWARD)
        blocked = [row.name for row in forward if not self._through(run, (FORWARD, row.name))]
        moving = [row.name for row in forward if row.status in _MOVING]
        if run.status is _R.PENDING and any(row.attempt for row in forward):
            yield "I9: pending, and a step was claimed"
        if run.status is _R.SUCCEEDED and blocked:
            yield f"I1: succeeded, and {blocked} are not through"
        if run.status in _BACK and moving:
            yield f"I1: {run.status}, and {moving} still go forward"
        if run.status is _R.COMPENSATED and any(not self._undone(row) for row in backward):
            yield "I4: compensated, and not everything is undone"
        if run.status in (_R.PENDING, _R.RUNNING, _R.SUCCEEDED) and (backward or run.epoch > 1):
            yield f"I7: {run.status}, and it had turned back"
        stopped = run.status in (_R.NEEDS_ATTENTION, _R.RESOLVED)
        if bool(run.attention) != stopped:
            yield f"I11: {run.status} because {run.attention!r}"

    def _untold(self, run: RunView, name: str) -> Iterator[str]:
        """I4, I6: what happened, and what the record says."""
        step, row = self.saga.steps[name], run.steps[FORWARD, name]
        done, undone = self.effects[FORWARD, name], self.effects[BACKWARD, name]
        if row.status is _S.SUCCEEDED and not (done or step.waits):
            yield f"I6: {name} succeeded without an effect"
        accounted = {(FORWARD, name), (BACKWARD, name)} & (self.written_off | self.risked)
        untouched = row.status in (_S.PENDING, _S.READY, _S.SKIPPED) and not row.in_doubt
        if done and untouched and not accounted:
            yield f"I4: {name} happened, and its row says {row.status}"
        if run.status is _R.COMPENSATED and step.compensation and done > undone and not accounted:
            yield f"I4: {name} happened and was not undone"

    def _untimely(self, draft: Draft, event: Happening, due: Place | None) -> Iterator[str]:
        assert event.direction is not None, "steps have a direction"
        place = (event.direction, event.step)
        if place != due and not self._came_up(draft, place):
            yield f"I5: {event.step} ({event.direction}) was claimed and is not due"
        if draft.view.status not in ACTIVE_RUNS[event.direction]:
            yield f"I7: {event.step} was claimed {event.direction}, and the run {draft.view.status}"
        if event.direction is FORWARD:
            yield from self._early(draft.view, event.step)
        else:
            yield from self._undone_early(draft.view, event.step)

    def _came_up(self, draft: Draft, place: Place) -> bool:
        """Whether the step's turn came, or its retry was due, in this very draft: it carries on."""
        moves = [event for event in draft.events if (event.direction, event.step) == place]
        return moves[0].old == _S.PENDING or len(moves) > 1

    def _early(self, view: RunView, name: str) -> Iterator[str]:
        """I7: forward in order, and never when the run is to turn back."""
        probing = view.steps[FORWARD, name].in_doubt and self.saga.steps[name].verifier
        if view.halt and not probing:
            yield f"I7: {name} was claimed although the run is to turn back"
        for one, other in self._before:
            if other == name and not self._through(view, (FORWARD, one)):
                yield f"I7: {name} was claimed before {one} was through"

    def _undone(self, row: StepView) -> bool:
        place = (row.direction, row.name)
        return row.status is _S.SUCCEEDED or (
            row.status is _S.SKIPPED and place in self.written_off
        )

    def _undone_early(self, view: RunView, name: str) -> Iterator[str]:
        """I7, I8, I4: reversed, never past the pivot, and only of what may have happened."""
        for one, other in self._before:
            standing = (BACKWARD, other) in view.steps
            if one == name and standing and not self._through(view, (BACKWARD, other)):
                yield f"I7: {name} was undone before {other} was"
        if self.saga.pivot and self.effects[FORWARD, self.saga.pivot.name]:
            yield f"I8: {name} was undone although the pivot happened"
        if not (self.effects[FORWARD, name] or tolerates_doubt(self.saga.steps[name])):
            yield f"I4: {name} was undone and had not happened"

    def _through(self, view: RunView, place: Place) -> bool:
        row = view.steps[place]
        given_up = row.name in self.passed
        settled = row.status in (_S.SUCCEEDED, _S.SKIPPED)
        return settled or (row.direction is Direction.FORWARD and given_up)

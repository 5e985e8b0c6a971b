"""The whole engine keeps the invariants on the database, whatever happens to whatever saga.

The planner alone is tried far more often in ``define/test_plan_random.py``; here it is dispatch,
the record and recovery, with messages that are lost and doubled and workers that die.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.test import override_settings

from sagas import record
from sagas.define.outcome import NotApplied, NotAsked, Refused, RetryLater, Unknown, Wait
from sagas.define.plan import probing
from sagas.define.saga import Definition
from sagas.define.step import Kind, Step
from sagas.define.view import RunView, StepView
from sagas.errors import CancelRefused
from sagas.history import Fact
from sagas.models import Event
from sagas.operate.cancel import cancel
from sagas.run import step as performing
from sagas.run.recover import sweep
from sagas.states import RunStatus
from sagas.testing.post import Post
from tests.sagas.define.invariants import problems
from tests.sagas.define.paper import Place
from tests.sagas.define.random_sagas import Nothing, random_saga
from tests.sagas.stage import BACKWARD, Known, begun, lapse

pytestmark = pytest.mark.django_db
_ROUNDS = 120
_AT_REST = (RunStatus.SUCCEEDED, RunStatus.COMPENSATED, RunStatus.NEEDS_ATTENTION)


class Died(BaseException):
    """The worker is gone, in the middle of a call."""


@dataclass
class Partners:
    """Partners that know what really happened, and answer badly for a while."""

    saga: Definition
    dice: random.Random
    trouble: int
    effects: Counter[Place] = field(default_factory=Counter)
    calls: list[Place] = field(default_factory=list)
    grounds: set[str] = field(default_factory=set)

    def action_of(self, step: Step, row: StepView) -> Callable[[Any], Any]:
        """What the engine calls instead of the step's own code."""
        place = (row.direction, row.name)
        if probing(step, row):
            return lambda run: self._verify(place)
        return lambda run: self._act(step, place)

    def _verify(self, place: Place) -> Any:
        if self._bad():
            return self.dice.choice((Unknown("?"), NotAsked("?"), Refused("?"), None, False))
        return True if self.effects[place] else NotApplied()

    def _act(self, step: Step, place: Place) -> Any:
        self.calls.append(place)
        if not self._bad():
            return self._happen(step, place)
        answers = [Wait(1.0), *self._surely_nothing(step, place)]
        if not (step.atomic or step.waits):
            answers.append(Unknown("reset"))
        answer = self.dice.choice([*answers, Died()])
        in_doubt = isinstance(answer, Unknown | Died) and not (step.atomic or step.waits)
        if in_doubt and self.dice.random() < 0.5:
            self._happen(step, place)
        self._note_grounds(step, place, answer)
        if isinstance(answer, Died):
            raise answer
        return answer

    def _surely_nothing(self, step: Step, place: Place) -> Iterator[Any]:
        if not self.effects[place]:
            yield Refused("no")
        if not step.waits:
            yield RetryLater("busy")
            yield NotAsked("open")

    def _note_grounds(self, step: Step, place: Place, answer: Any) -> None:
        if isinstance(answer, NotAsked):
            return
        if isinstance(answer, Unknown | Died) or place[0] is BACKWARD:
            self.grounds.add("something is in doubt, or cannot be undone")
        if isinstance(answer, Refused) and step.kind is Kind.RETRIABLE:
            self.grounds.add("a step was refused after the pivot")

    def _happen(self, step: Step, place: Place) -> None:
        deduplicates = place[0] is BACKWARD or step.idempotent
        if not step.waits and not (self.effects[place] and deduplicates):
            self.effects[place] += 1

    def _bad(self) -> bool:
        bad = self.trouble > 0 and self.dice.random() < 0.5
        self.trouble -= bad
        return bad


@dataclass
class Played:
    """A run that came to rest, in the shape that the invariants look at."""

    saga: Definition
    view: RunView
    facts: list[Fact]
    effects: Counter[Place]
    calls: list[Place]
    grounds: set[str]


def played(saga: Definition, dice: random.Random, post: Post) -> Played:
    """Start a run and let things happen until it rests."""
    partners = Partners(saga, dice, trouble=dice.choice((0, 2, 4, 8)))
    run_id = begun(saga, Nothing())
    with patch.object(performing, "action_of", partners.action_of):
        for _ in range(_ROUNDS):
            _round(run_id, dice, post)
            if record.read(run_id).status in _AT_REST:
                break
    events = Event.objects.filter(run=run_id).order_by("id")
    facts = [Fact(e.step, e.direction, e.old, e.new, e.epoch) for e in events]
    view = record.read(run_id)
    return Played(saga, view, facts, partners.effects, partners.calls, partners.grounds)


def _round(run_id: UUID, dice: random.Random, post: Post) -> None:
    """Time passes, sweeps find what is due, and messages are delivered, doubled or lost."""
    if dice.random() < 0.8:
        lapse(run_id)
    sweep()
    if dice.random() < 0.1:
        post.drop_all()
    if dice.random() < 0.05:
        _cancel(run_id)
    for _ in range(20):
        try:
            if not post.deliver(copies=dice.choice((1, 1, 2))):
                return
        except Died:
            lapse(run_id)


def _cancel(run_id: UUID) -> None:
    try:
        cancel(run_id)
    except CancelRefused:
        return


@pytest.mark.parametrize("seed", [*range(5), None])
def test_every_run_ends_and_keeps_the_invariants(
    known: Known, post: Post, drawn_seed: int, seed: int | None
) -> None:
    seed = drawn_seed if seed is None else seed
    endings: Counter[str] = Counter()
    for number in range(20):
        dice = random.Random(1000 * seed + number)
        saga = known(random_saga(dice, f"paper-{number}"))
        with override_settings(SAGAS={"POISON_ATTEMPTS": 3}):
            run = played(saga, dice, post)
        found = list(problems(run))  # type: ignore[arg-type]
        assert found == [], (1000 * seed + number, run.facts)
        endings[run.view.status] += 1
    assert len(endings) > 1, endings

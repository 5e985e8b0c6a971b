"""Whatever can happen to a run, as rules that Hypothesis plays in any order on the planner."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from typing import TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from sagas.define.outcome import Done, NotAsked, Refused, Unknown, Wait
from sagas.define.saga import Node, Parallel
from sagas.define.step import Step
from sagas.states import TERMINAL_RUNS
from tests.sagas.define.book import BACKWARD, FORWARD
from tests.sagas.define.random_sagas import random_saga
from tests.sagas.define.world import Action, World

T = TypeVar("T")
_ROLLS = st.integers(0, 2**32)
_OPEN = (NotAsked, Unknown, Wait)
_BAD = (Refused, Unknown)
_MOST_MOVES = 500  # of a run that gets only good answers


class Machine(RuleBasedStateMachine, World):
    """One saga and its runs, one after the other."""

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)  # the world begins with ``define``

    @initialize(seed=st.integers(0, 2**32), roll=_ROLLS)
    def define(self, seed: int, roll: int) -> None:
        choose = Chooser(roll)
        self.saga = random_saga(random.Random(seed))
        self.deadline = choose.of((None, None, 50.0))
        conditional = [step.name for step in self.saga.steps.values() if step.when]
        self.broken = choose.of(([], [], [], conditional[-1:]))
        note(f"the saga:{_drawn(self.saga.tree)}; conditions raise: {self.broken}")
        self._begin(choose)

    # --- what can happen -------------------------------------------------------------------

    @precondition(lambda self: self.due())
    @rule(roll=_ROLLS)
    def a_worker_gets_the_message_for_a_step_that_is_due(self, roll: int) -> None:
        choose = Chooser(roll)
        draft = self.deliver(choose.of(self.due()), carries=choose.yes())
        assert draft.events, "stuck: the step is due and nobody can claim it"

    @precondition(lambda self: self.echoes)
    @rule(roll=_ROLLS)
    def a_message_comes_that_may_be_stale_or_early_or_a_copy(self, roll: int) -> None:
        choose = Chooser(roll)
        self.echoes -= 1
        place = (choose.of((FORWARD, BACKWARD)), choose.of(list(self.saga.steps)))
        self.deliver(place, carries=choose.yes())

    @precondition(lambda self: self.called_off())
    @rule(roll=_ROLLS)
    def a_message_comes_for_a_step_that_was_called_off(self, roll: int) -> None:
        choose = Chooser(roll)
        self.deliver(choose.of(self.called_off()), carries=choose.yes())

    @precondition(lambda self: self.flying)
    @rule(roll=_ROLLS)
    def an_attempt_answers(self, roll: int) -> None:
        choose = Chooser(roll)
        attempt = choose.of(self.flying)
        outcome = choose.of(list(self.answers(attempt)))
        self.answer(attempt, outcome, carries=choose.yes(), happens=choose.yes())

    @precondition(lambda self: self.flying)
    @rule(roll=_ROLLS)
    def a_step_stays_open(self, roll: int) -> None:
        """Its attempts do not know, or must wait; and perhaps just then somebody cancels."""
        choose = Chooser(roll)
        place = choose.of(self.flying).place
        for _ in range(choose.of((3, 2, 1))):
            attempt = next((a for a in self.flying if a.place == place), None)
            opened = [o for o in self.answers(attempt) if isinstance(o, _OPEN)] if attempt else []
            if attempt is None or not opened:
                break
            self.answer(attempt, choose.of(opened), carries=False, happens=choose.yes())
            self.check()
            if place in self.due():
                self.deliver(place, carries=False)
                self.check()
        if choose.yes() and self.cancellable():
            self.cancel()

    @precondition(lambda self: len(self.due()) > 1)
    @rule(roll=_ROLLS)
    def steps_beside_each_other_fail(self, roll: int) -> None:
        """All are taken before the first answers; so more than one may block the run."""
        choose = Chooser(roll)
        for place in self.due():
            if place in self.due():
                self.deliver(place, carries=False)
                self.check()
        for attempt in list(self.flying):
            bad = [o for o in self.answers(attempt) if isinstance(o, _BAD)]
            if bad and not self.stale(attempt):
                self.answer(attempt, choose.of(bad), carries=False, happens=choose.yes())
                self.check()

    @precondition(lambda self: len(self.due()) > 1)
    @rule(roll=_ROLLS)
    def a_step_stops_the_run_and_the_workers_beside_it_die(self, roll: int) -> None:
        """A sweep settles what they had; one that is only frozen answers afterwards."""
        choose = Chooser(roll)
        for place in self.due():
            if place in self.due():
                self.deliver(place, carries=False)
                self.check()
        for attempt in self.flying[1:]:
            self.fall_silent(attempt, happens=choose.yes())
        bad = (
            [o for o in self.answers(self.flying[0]) if isinstance(o, _BAD)] if self.flying else []
        )
        if bad and not self.stale(self.flying[0]):
            self.answer(self.flying[0], choose.of(bad), carries=False, happens=choose.yes())
            self.check()
        if self.abandoned():
            self.sweep()
            self.check()
        for attempt in list(self.flying):
            if self.asked(attempt) and attempt.happened and choose.yes():
                self.answer(attempt, Done(), carries=False, happens=True)
                self.check()

    @precondition(lambda self: self.flying and self.calm <= 0)
    @rule(roll=_ROLLS)
    def a_worker_falls_silent(self, roll: int) -> None:
        """Its lease lapses; one that is only frozen answers later, perhaps too late."""
        choose = Chooser(roll)
        attempt = choose.of(self.flying)
        self.fall_silent(attempt, happens=choose.yes())
        if choose.yes():
            self.flying.remove(attempt)

    @precondition(lambda self: self.abandoned())
    @rule()
    def a_sweep_finds_lost_what_the_stopped_run_had_in_flight(self) -> None:
        self.sweep()

    @precondition(lambda self: not self.at_rest)
    @rule(moves=st.integers(1, 6))
    def all_goes_well_for_a_while(self, moves: int) -> None:
        for _ in range(moves):
            if self.one_good_move():
                self.check()

    @precondition(lambda self: self.later() and (self.deadline or not self.due()))
    @rule(seconds=st.sampled_from((10.0, 1.0, 30.0)))
    def time_passes(self, seconds: float) -> None:
        self.tell("time")
        self.stored.now += seconds

    @precondition(lambda self: self.cancellable() and self.calm <= 0)
    @rule()
    def a_person_cancels(self) -> None:
        self.cancel()

    @precondition(lambda self: self.run.status not in TERMINAL_RUNS and self.calm <= 0)
    @rule(roll=_ROLLS)
    def an_operator_acts(self, roll: int) -> None:
        """Retries, skips, marks, restarts, undoes, pauses, resumes or closes: whatever fits."""
        choose = Chooser(roll)
        actions = self.actions()
        for _ in range(len(actions)):
            if self.act(actions.pop(actions.index(choose.of(actions)))):
                return

    @precondition(lambda self: self.blocked())
    @rule(roll=_ROLLS)
    def an_operator_acts_on_what_blocks_the_run(self, roll: int) -> None:
        """Something can be done about every blocker, or a verify still finds it out."""
        choose = Chooser(roll)
        place = choose.of(self.blocked())
        self.patience -= 1
        whats = ["retry", "mark", "skip"]
        while whats and not self.act(Action(what := choose.of(whats), place)):
            whats.remove(what)
        assert whats, f"nothing can be done about {place}"

    @precondition(lambda self: self.waiting())
    @rule(roll=_ROLLS)
    def a_signal_comes(self, roll: int) -> None:
        self.tell("signal")
        self.signal(Chooser(roll).of(self.waiting()))

    @precondition(lambda self: self.at_rest and not self.flying and not self.abandoned())
    @precondition(lambda self: self.patience <= 0 or not self.blocked())
    @rule(roll=_ROLLS)
    def the_next_run_begins(self, roll: int) -> None:
        self.close()
        self._begin(Chooser(roll))

    def teardown(self) -> None:
        """From wherever the run is, good answers alone bring it to rest."""
        if sys.exc_info()[0] is not None:
            return  # a rule has failed: that is what to report
        for _ in range(_MOST_MOVES):
            if not self.one_good_move():
                break
            self.check()
        self.close()

    @invariant()
    def all_is_well(self) -> None:
        self.check()

    def _begin(self, choose: Chooser) -> None:
        self.echoes = 4  # messages that nobody waits for
        self.patience = choose.of((6, 3, 0))  # how often an operator sees to what blocks the run
        self.begin(calm=choose.of((0, 8, 2, 16, 99)))


class Chooser:
    """Several choices from one drawn number: much faster than drawing each, and even.

    The number 0, to which Hypothesis shrinks, always chooses the first.
    """

    def __init__(self, roll: int) -> None:
        self._dice = random.Random(roll) if roll else None

    def of(self, options: Sequence[T]) -> T:
        return self._dice.choice(options) if self._dice else options[0]

    def yes(self) -> bool:
        return self.of((False, True))


def _drawn(nodes: Sequence[Node]) -> str:
    """A tree with what matters of each step."""
    return ", ".join(
        f"[{' | '.join(_drawn(branch) for branch in node.branches)}]"
        if isinstance(node, Parallel)
        else " ".join((node.name, node.kind, *_traits(node)))
        for node in nodes
    )


def _traits(step: Step) -> Iterator[str]:
    yield from (name for name in ("optional", "atomic", "waits") if getattr(step, name))
    yield f"tries={step.retry and step.retry.attempts}"
    if not step.idempotent:
        yield "not-idempotent"
    if step.verifier:
        yield f"verified={step.verify_retry.attempts}"
    if step.when:
        yield f"when={step.when.__name__}"
    if step.compensation:
        tolerant = "?" if step.compensation.tolerates_nothing else ""
        yield f"undo{tolerant}={step.compensation.retry.attempts}"

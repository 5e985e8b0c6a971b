"""A run, its partners and its workers: what can be done to it, and what must hold afterwards.

The planner moves it; the invariants (``truth.py``) and the lifecycle page (``book.py``) judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from sagas.define import intervene, plan
from sagas.define.blockers import blockers
from sagas.define.draft import Draft
from sagas.define.frontier import following
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
from sagas.define.view import StepView, direction_of
from sagas.errors import VerbRefused
from sagas.history import replay
from sagas.states import ACTIVE_RUNS, TERMINAL_RUNS, Halt, RunStatus, StepStatus
from tests.sagas.define.book import BACKWARD, FORWARD, Book
from tests.sagas.define.stored import Place, Stored
from tests.sagas.define.truth import Truth

POISON = 3
_R, _S = RunStatus, StepStatus
_STOPPED = (_S.FAILED, _S.UNKNOWN, _S.READY)
_HELD_OR_WAITED = (_S.IN_FLIGHT, _S.WAITING)
_NONE: Any = object()
_AT_REST = (_R.SUCCEEDED, _R.COMPENSATED, _R.NEEDS_ATTENTION, _R.RESOLVED)


@dataclass(slots=True)
class Attempt:
    """One claim, as its worker remembers it."""

    place: Place
    epoch: int
    number: int
    tries: int
    asks: bool  # whether the step happened, instead of doing it
    happened: bool = False  # the call had its effect, though it has not answered yet


@dataclass(frozen=True, slots=True)
class Action:
    """What an operator does, to a step or to the run."""

    what: str
    place: Place = (FORWARD, "")


class World:
    """One run of a saga, with all that can befall it.

    Attributes:
        counts: what happened, over all worlds of the class.
        moves: the moves that the planner made, likewise.
        reads_the_book: whether the run's state is compared with the lifecycle page's.
        deadline: seconds until the run is overdue.
        broken: steps whose condition raises.
        calm: moves during which nothing bad comes from outside.
    """

    counts: ClassVar[Counter[str]] = Counter()
    moves: ClassVar[set[tuple[str, str]]] = set()
    reads_the_book: ClassVar[bool] = True

    saga: Definition
    deadline: float | None = None
    broken: Sequence[str] = ()
    calm: int

    def __init__(self, saga: Definition) -> None:
        self.saga = saga
        self.begin(calm=0)

    def begin(self, calm: int) -> None:
        """Start a run."""
        self.calm = calm
        self.stored = Stored(self.saga, self.deadline)
        self.truth = Truth(self.saga)
        self.book = Book(self.saga, self.holds, POISON)
        self.flying: list[Attempt] = []
        self.grounds: set[str] = set()
        self.misdeeds: list[str] = []
        self.tell("run")
        draft = plan.begin(self.saga, self.stored.read(), self.worker(False))
        self.absorb(draft, Book.begin)

    def deliver(self, place: Place, carries: bool) -> Draft:
        """Hand a worker a message for a step."""
        self.tell("message")
        due = self.stored.claimable(place)
        way, name = place
        draft = plan.claim(self.saga, self.stored.read(), name, way, self.worker(carries))
        self.absorb(draft, lambda book: book.message(place, due), carries, place if due else None)
        return draft

    def answer(self, attempt: Attempt, outcome: Outcome, carries: bool, happens: bool) -> None:
        """An attempt answers; the record refuses it if it was taken over."""
        self.tell("answer")
        self.flying.remove(attempt)
        knows = isinstance(outcome, Done) and self.asked(attempt) and attempt.happened
        if self.stale(attempt) and not knows:
            self.answer_late(attempt, outcome)
            return
        if knows:
            self.tell("late success")
        if isinstance(outcome, Done) or (isinstance(outcome, Unknown) and happens):
            self.call(attempt)
        self.note_grounds(attempt, outcome)
        self.tell(type(outcome).__name__)
        self.settle(attempt.place, outcome, carries)

    def answer_late(self, attempt: Attempt, outcome: Outcome) -> None:
        """The answer of an attempt that was taken over; "done" only if it was before that."""
        self.tell("late answer")
        if isinstance(outcome, Done) and not attempt.happened:
            outcome = Unknown("it was too late")
        way, name = attempt.place
        seen = StepView(None, name, way, 0, attempt=attempt.number, tries=attempt.tries)
        acted = not (attempt.asks or self.saga.steps[name].atomic)
        number = attempt.number
        draft = plan.late(self.saga, self.stored.read(), seen, number, outcome, acted=acted)
        done = acted and isinstance(outcome, Done)
        self.absorb(draft, lambda book: book.late(attempt.place, attempt.tries, done))

    def signal(self, place: Place) -> None:
        """What a step waits for comes: it is due now."""
        self.tell("signal")
        view = self.stored.read()
        self.absorb(plan.hand_over(view, view.steps[place]), Book.signal)

    def settle(self, place: Place, outcome: Outcome, carries: bool) -> None:
        view = self.stored.read()
        draft = plan.settle(self.saga, view, view.steps[place], outcome, self.worker(carries))
        self.absorb(draft, lambda book: book.answer(place, outcome), carries)

    def fall_silent(self, attempt: Attempt, happens: bool) -> None:
        """The worker's lease lapses; its call may have had its effect."""
        self.tell("lost")
        self.grounds.add("a worker fell silent")
        if not self.stale(attempt):
            self.stored.lapsed.add(attempt.place)
            if happens and not self.saga.steps[attempt.place[1]].atomic:
                self.call(attempt)

    def sweep(self) -> None:
        """A sweep looks at the run, which needs attention, and what it has in flight is lost."""
        self.tell("swept")
        lost = self.abandoned()
        draft = plan.lost(self.saga, self.stored.read(), POISON)
        self.absorb(draft, lambda book: book.swept(lost))
        assert not self.abandoned(), "I12: lost, and still in flight"

    def cancel(self) -> None:
        self.tell("cancel")
        draft = plan.halt(self.saga, self.stored.read(), Halt.CANCELLED, self.worker(False))
        self.absorb(draft, Book.cancel)

    # --- operators -------------------------------------------------------------------------

    def actions(self) -> list[Action]:
        """Everything that an operator could do to the run now."""
        view = self.stored.read()
        way = direction_of(view)
        steps = [row.name for row in view.rows(way) if row.status in _STOPPED]
        forward = [row.name for row in view.rows(FORWARD)]
        return [
            *(Action(what, (way, name)) for name in steps for what in ("retry", "skip", "mark")),
            *(Action("restart", (FORWARD, name)) for name in forward),
            *(Action(what) for what in ("compensate", "resolve", "pause", "resume")),
        ]

    def act(self, action: Action) -> bool:
        """Do it. False: it is refused."""
        before = self.run.status
        draft = self._acted(action)
        if draft is None:
            return False
        self.tell(action.what)
        if len(self.blocked()) > 1:
            self.tell("two blockers")
        if action.what in ("pause", "resume"):
            self.stored.paused = action.what == "pause"
            self.book.hold(self.stored.paused)
            return True
        self._account_for(action)
        self.absorb(draft, lambda book: self._by_the_page(book, action))
        if before is _R.NEEDS_ATTENTION and not self.at_rest:
            self._all_is_sent(draft)
        return True

    def _acted(self, action: Action) -> Draft | None:
        view, worker, (_, name) = self.stored.read(), self.worker(False), action.place
        happened = bool(self.truth.effects[action.place])
        try:
            match action.what:
                case "retry":
                    return intervene.retry(self.saga, view, name, worker)
                case "skip":
                    return intervene.skip(self.saga, view, name, None, worker)
                case "mark":
                    return intervene.mark(self.saga, view, name, None, worker, happened=happened)
                case "restart":
                    return intervene.restart(self.saga, view, name, worker, again=True)
                case "compensate":
                    return intervene.compensate(self.saga, view, worker)
                case "resolve":
                    return intervene.resolve(view)
        except VerbRefused:
            return None
        paused = action.what == "pause"
        return None if self.run.status in TERMINAL_RUNS or paused is self.stored.paused else _NONE

    def _account_for(self, action: Action) -> None:
        """What the operator answers for, and no longer the planner."""
        (way, name), row = action.place, self.run.steps.get(action.place)
        doubtful = row is not None and row.in_doubt
        if action.what == "skip":
            self.truth.written_off.add(action.place)
        if action.what == "retry" and doubtful and not self.saga.steps[name].idempotent:
            self.truth.risked.add(action.place)
        if action.what == "retry" and not doubtful:
            self.truth.written_off.discard(action.place)
        if action.what == "restart":
            for step in following(self.saga, name):
                self.truth.forget(step.name)
        if action.what == "mark" and way is FORWARD:
            self.grounds.add("an operator settled a question")

    def _by_the_page(self, book: Book, action: Action) -> None:
        match action.what:
            case "retry":
                book.retry(action.place)
            case "skip":
                book.skip(action.place)
            case "mark":
                book.mark(action.place, bool(self.truth.effects[action.place]))
            case "restart":
                book.restart(action.place[1])
            case "compensate":
                book.compensate()
            case "resolve":
                book.resolve()

    def _all_is_sent(self, draft: Draft) -> None:
        """A run that goes on again goes on with all that can, from now on."""
        sent = {(row.direction, row.name) for row in draft.to_send}
        due, now = self.due(), self.stored.now
        late = [place for place in due if place not in sent]
        assert not late, f"{late} could be claimed, and nobody is told"
        old = [place for place in due if self.stored.due.get(place, now) < now]
        assert not old, f"{old} is called overdue for the time that the run stood"

    def one_good_move(self) -> bool:
        """Let the next thing happen, and go well. False: nothing can happen any more."""
        if self.stored.paused and not self.flying and not self.at_rest:
            return self.act(Action("resume"))
        if self.flying:
            attempt = self.flying[0]
            self.answer(attempt, self.good_answer(attempt), carries=False, happens=True)
        elif self.due():
            draft = self.deliver(self.due()[0], carries=False)
            assert draft, "stuck: the step is due and nobody can claim it"
        elif self.abandoned():
            self.sweep()
        elif self.at_rest:
            return False
        elif self.later():
            self.stored.now = min(self.stored.due[place] for place in self.later())
        elif self.waiting():
            self.signal(self.waiting()[0])
        else:
            return False
        return True

    def close(self) -> None:
        """The run is at rest: in exactly one of three states, by a legal history."""
        self.tell(f"ended {self.run.status}")
        self.tell(f"halted {self.run.halt}")
        assert self.run.status in _AT_REST, f"I1: it came to rest as {self.run.status}"
        flying = [row.name for row in self.run.steps.values() if row.status is _S.IN_FLIGHT]
        assert not flying, f"I12: {flying} in flight, and the run at rest"
        assert not self.run.attention or self.grounds, "I11: a person is asked for nothing"
        told = replay(self.stored.facts)
        assert told.problems == [], f"I9: {told.problems}"
        assert told.status == self.run.status, "I9: the log tells another end"

    # --- what must hold --------------------------------------------------------------------

    def check(self) -> None:
        self.safe()
        self.not_stuck()
        self.by_the_book()

    def safe(self) -> None:
        wrongs = [*self.misdeeds, *self.truth.wrongs(self.run)]
        assert not wrongs, "; ".join(wrongs)

    def not_stuck(self) -> None:
        """The liveness invariant, from the rows alone."""
        if self.at_rest:
            return
        wanted = {place: self.run.steps[place].status for place in self.wanted()}
        coming = [p for p, at in wanted.items() if at in _HELD_OR_WAITED or p in self.stored.due]
        assert coming, f"stuck: the run is {self.run.status} and nothing will come"

    def by_the_book(self) -> None:
        if not self.reads_the_book:
            return
        run, book = self.run, self.book
        assert (run.status, run.epoch) == (book.status, book.epoch), "not the run of the book"
        said = {place: line.status for place, line in book.lines.items()}
        assert {place: row.status for place, row in run.steps.items()} == said, "not its steps"
        if run.status in (_R.PENDING, _R.RUNNING):
            assert run.halt == book.halt, "not its reason to turn back"
        if run.status is not _R.NEEDS_ATTENTION:
            doubts = {place for place, line in book.lines.items() if line.doubt}
            assert {p for p, row in run.steps.items() if row.in_doubt} == doubts, "not its doubts"

    # --- writing ---------------------------------------------------------------------------

    def absorb(
        self,
        draft: Draft,
        tell: Callable[[Book], None],
        carries: bool = False,
        due: Place | None = None,
    ) -> None:
        """Judge a draft, store it, and let its worker begin what it claimed."""
        self.calm -= 1
        self.moves.update((event.old, event.new) for event in draft.events)
        self.misdeeds += self.truth.misdeeds(self.run, draft, due)
        self.book.overdue = self.stored.overdue
        self.stored.write(draft)
        row = draft.claimed
        claimed = None if row is None else (row.direction, row.name)
        if self.reads_the_book:
            tell(self.book)
            self.compare(claimed, carries)
        if row is not None and claimed is not None:
            asks = plan.probing(self.saga.steps[row.name], row)
            self.flying.append(Attempt(claimed, draft.view.epoch, row.attempt, row.tries, asks))

    def compare(self, claimed: Place | None, carries: bool) -> None:
        """What the worker claimed is what the book says, or what it offers."""
        book = self.book
        if book.taken is not None:
            assert claimed == book.taken, f"{claimed} was claimed, by the book {book.taken}"
        elif claimed is not None:
            assert carries, f"{claimed} was claimed by a worker that does not carry on"
            assert claimed in book.offers, f"by the book {claimed} cannot be claimed"
            book.take(claimed)
        else:
            left = [p for p in book.offers if carries and self.stored.claimable(p)]
            assert not left, f"a worker that carries on has left {left} lying"

    # --- the partners ----------------------------------------------------------------------

    def answers(self, attempt: Attempt) -> Iterator[Outcome]:
        """What the attempt may answer, the best first."""
        step = self.saga.steps[attempt.place[1]]
        yield self.good_answer(attempt)
        if attempt.asks:
            yield from (Unknown("?"), Unknown("?", after=5.0), Refused("?"), Wait(5.0))
            yield NotAsked("open", after=5.0)
            return
        if not attempt.happened:
            yield self.good_answer(attempt)
            yield from (Refused("no"), Wait(5.0), Wait(None, "told", "k"), NotApplied())
            if not step.waits:
                yield from (RetryLater("busy"), RetryLater("busy", after=20.0))
                yield from (NotAsked("open"), NotAsked("open", after=20.0))
        if not (step.waits or step.atomic):
            yield from (Unknown("reset"), Unknown("reset", after=5.0))

    def good_answer(self, attempt: Attempt) -> Outcome:
        if attempt.asks and not self.truth.effects[attempt.place]:
            return NotApplied()
        return Done()

    def call(self, attempt: Attempt) -> None:
        """The attempt's call has its effect, once; none if the partner knows the key."""
        place, step = attempt.place, self.saga.steps[attempt.place[1]]
        if attempt.asks or attempt.happened or step.waits:
            return
        attempt.happened = True
        known = place[0] is BACKWARD or step.idempotent
        self.truth.effects[place] += 0 if known and self.truth.effects[place] else 1

    def note_grounds(self, attempt: Attempt, outcome: Outcome) -> None:
        way, name = attempt.place
        if isinstance(outcome, NotAsked):
            return
        if isinstance(outcome, Unknown) or attempt.asks:
            self.grounds.add("something is in doubt")
        if way is BACKWARD and not isinstance(outcome, Done):
            self.grounds.add("a compensation did not work")
        if self.saga.steps[name].kind is Kind.RETRIABLE and isinstance(outcome, Refused):
            self.grounds.add("refused after the pivot")

    # --- looking ---------------------------------------------------------------------------

    @property
    def run(self) -> Any:
        return self.stored.run

    @property
    def at_rest(self) -> bool:
        return self.run.status in _AT_REST

    def due(self) -> list[Place]:
        """What a worker can take now."""
        return [p for p in self.wanted() if self.stored.claimable(p)]

    def later(self) -> list[Place]:
        """What a worker can take when its time has come."""
        return [p for p in self.wanted() if p in self.stored.due]

    def wanted(self) -> list[Place]:
        active = (p for p in self.run.steps if self.run.status in ACTIVE_RUNS[p[0]])
        return [place for place in active if not self._called_off(place)]

    def called_off(self) -> list[Place]:
        """What would be due, were the run not about to turn back."""
        return [p for p in self.run.steps if self._called_off(p) and self.stored.claimable(p)]

    def _called_off(self, place: Place) -> bool:
        row = self.run.steps[place]
        idle = row.status is _S.WAITING or (row.status is _S.READY and not row.in_doubt)
        return bool(self.run.halt) and place[0] is FORWARD and idle

    def blocked(self) -> list[Place]:
        """What keeps the run from moving while it needs attention."""
        if self.run.status is not _R.NEEDS_ATTENTION:
            return []
        found = [one.step for one in blockers(self.saga, self.stored.read())]
        return [(row.direction, row.name) for row in found if row is not None]

    def waiting(self) -> list[Place]:
        if self.run.status in TERMINAL_RUNS:
            return []
        return [p for p, row in self.run.steps.items() if row.status is _S.WAITING]

    def abandoned(self) -> list[Place]:
        """What is in flight and lost in a run that needs attention."""
        if self.run.status is not _R.NEEDS_ATTENTION:
            return []
        rows = self.run.steps.items()
        return [p for p, row in rows if row.status is _S.IN_FLIGHT and p in self.stored.lapsed]

    def asked(self, attempt: Attempt) -> bool:
        """Whether the question is open how this very attempt ended, which was given up as lost."""
        row = self.run.steps[attempt.place]
        mine = (attempt.epoch, attempt.number, _S.UNKNOWN)
        return (self.run.epoch, row.attempt, row.status) == mine

    def stale(self, attempt: Attempt) -> bool:
        """Whether the record refuses the attempt's answer, unless ``asked`` for it."""
        row = self.run.steps[attempt.place]
        mine = (attempt.epoch, attempt.number, _S.IN_FLIGHT)
        return (self.run.epoch, row.attempt, row.status) != mine

    def cancellable(self) -> bool:
        forward = self.run.status in ACTIVE_RUNS[FORWARD]
        return forward and not plan.past_pivot(self.saga, self.run)

    def worker(self, carries: bool) -> Worker:
        return Worker(lambda step, way: carries, self.holds, POISON)

    def holds(self, step: Step) -> bool:
        if step.name in self.broken:
            self.grounds.add("a condition raised")
            raise LookupError
        condition: Callable[[Any], bool] | None = step.when
        return condition is None or condition(None)

    def tell(self, what: str) -> None:
        type(self).counts[what] += 1

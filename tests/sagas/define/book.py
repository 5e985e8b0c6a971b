"""The lifecycle page as a program: how a run must stand after each thing that can happen to it.

A second opinion, written from ``docs/lifecycle.md`` and never from the planner: whose turn it is
follows here from which step stands before which, and not from walking the tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sagas.define.backoff import Retry
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
from sagas.define.saga import Definition, Node, Parallel, walk
from sagas.define.step import Kind, Step
from sagas.states import TERMINAL_RUNS, Direction, Halt, RunStatus, StepStatus
from tests.sagas.define.stored import Place

FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
_R, _S = RunStatus, StepStatus
_GOING = (_R.PENDING, _R.RUNNING)


@dataclass(slots=True)
class Line:
    """What the book says of one step in one direction."""

    status: StepStatus = StepStatus.PENDING
    doubt: bool = False
    doubted: bool = False  # with this key, until a verify found nothing
    tries: int = 0
    probes: int = 0
    losses: int = 0
    dropped: bool = False  # an open question that nobody will ask any more


class Book:
    """A run by the book.

    Args:
        holds: whether a step's condition holds; it may raise.
        poison: attempts in a row that may die before a person is asked.

    Attributes:
        overdue: whether the deadline has passed; the one who tells the story keeps it true.
        taken: the step that the one who got the message takes.
        offers: what a worker that carries on may take in the same commit, if it is due.
    """

    def __init__(self, saga: Definition, holds: Callable[[Step], bool], poison: int) -> None:
        self.saga = saga
        self.status, self.epoch, self.halt = RunStatus.PENDING, 1, Halt.NONE
        self.lines: dict[Place, Line] = {(FORWARD, name): Line() for name in saga.steps}
        self.overdue = self.paused = False
        self.taken: Place | None = None
        self.offers: set[Place] = set()
        self._holds, self._poison = holds, poison
        self._before = set(before(saga.tree))

    # --- what can happen -------------------------------------------------------------------

    def begin(self) -> None:
        """The run is started, by somebody who performs no step."""
        self._forward()
        self.offers.clear()

    def message(self, place: Place, claimable: bool) -> None:
        """A worker gets a message for a step, which is due or not."""
        self._next()
        way, _ = place
        if self.paused or self.status not in (_GOING if way is FORWARD else (_R.COMPENSATING,)):
            return
        self._told(place, claimable)
        self._stop_if_nothing_comes()

    def _told(self, place: Place, claimable: bool) -> None:
        way, _ = place
        if way is FORWARD and self._halting():
            self._turn_if_still()
            if self.status not in _GOING:
                return
        line = self.lines.get(place)
        if line is None or not claimable or line.status not in _TAKEABLE:
            return
        if self.halt and way is FORWARD and not self._open(line):
            return
        if line.status is _S.IN_FLIGHT:
            self._lost(place, line)
        else:
            self.take(place)

    def answer(self, place: Place, outcome: Outcome) -> None:
        """The attempt in flight answers."""
        self._next()
        line = self.lines[place]
        if isinstance(outcome, NotAsked):
            self._not_asked(place, line)
        else:
            line.losses = 0
            if self._asks(place) and not isinstance(outcome, Done):
                self._verdict(place, line, outcome)
            else:
                self._outcome(place, line, outcome)
        self._go_on()
        self._stop_if_nothing_comes()

    def late(self, place: Place, tries: int, done: bool) -> None:
        """An attempt that was taken over, the call of that number, says if it happened."""
        self._next()
        line, undo = self.lines[place], self.lines.get((BACKWARD, place[1]))
        found = line.status is _S.SUCCEEDED and line.tries == tries  # by a verify: one effect
        twice = not self.saga.steps[place[1]].idempotent and not found
        turned, settled = self.status not in _GOING, line.status is _S.SUCCEEDED
        stands = turned and not settled and (undo is None or undo.status is _S.SUCCEEDED)
        over = self.status in TERMINAL_RUNS
        if done and place[0] is FORWARD and (twice or stands) and not over:
            self.status = _R.NEEDS_ATTENTION

    def signal(self) -> None:
        """A signal comes that a step waits for: it may be claimed, and nothing else."""
        self._next()

    def cancel(self) -> None:
        """A person asks the run to turn back."""
        self._next()
        self.halt = self.halt or Halt.CANCELLED
        self._turn_if_still()
        self._stop_if_nothing_comes()

    # --- what an operator does -------------------------------------------------------------

    def retry(self, place: Place) -> None:
        """Once more; or now, if it waits for its next try while the run goes on."""
        self._next()
        line = self.lines[place]
        if line.status is _S.READY:
            return
        line.tries = line.probes = line.losses = 0
        if line.status is _S.UNKNOWN:
            line.dropped = False
        else:
            line.status, line.doubted = _S.READY, False  # with another key
        self._goes_on_from_here()

    def skip(self, place: Place) -> None:
        """Without it."""
        self._next()
        self.lines[place].status = _S.SKIPPED
        self._goes_on_from_here()

    def mark(self, place: Place, happened: bool) -> None:
        """It did, or it did not and is done again."""
        self._next()
        tries = self.lines[place].tries if happened else 0
        self.lines[place] = Line(_S.SUCCEEDED if happened else _S.READY, tries=tries)
        self._goes_on_from_here()

    def compensate(self) -> None:
        """Undo it all."""
        self._next()
        self.status, self.halt = _R.RUNNING, self.halt or Halt.CANCELLED
        self._turn(self._forward_lines())
        self._stop_if_nothing_comes()

    def restart(self, name: str) -> None:
        """Go forward again from there."""
        self._next()
        for one in (name, *(later for one, later in self._before if one == name)):
            waits = self.lines[FORWARD, one].status is _S.PENDING  # and keeps its key
            self.lines[FORWARD, one] = Line(doubted=waits and self.lines[FORWARD, one].doubted)
        self._goes_on_from_here()

    def resolve(self) -> None:
        """Close it."""
        self._next()
        self.status = _R.RESOLVED

    def hold(self, paused: bool) -> None:
        """Stop the run where it is, or let it go on."""
        self._next()
        self.paused = paused

    def _goes_on_from_here(self) -> None:
        """The run is active again. It turns back no more if all that gave up is mended."""
        if self.status is _R.NEEDS_ATTENTION:
            undoing = any(way is BACKWARD for way, _ in self.lines)
            self.status = _R.COMPENSATING if undoing else _R.RUNNING
        gave_up = [p for p, line in self._forward_lines().items() if line.status is _S.FAILED]
        mended = all(self.saga.steps[name].optional for _, name in gave_up)
        if self.halt is Halt.FAILED and self.status is _R.RUNNING and mended:
            self.halt = Halt.NONE
        self._go_on()
        self._stop_if_nothing_comes()
        self.offers.clear()

    def take(self, place: Place) -> None:
        """The step is claimed."""
        line, self.taken = self.lines[place], place
        line.dropped = False
        if self._asks(place):
            line.probes += 1
        else:
            line.tries += 1
        line.status = _S.IN_FLIGHT
        if self.status is _R.PENDING:
            self.status = _R.RUNNING

    def _next(self) -> None:
        self.taken = None
        self.offers.clear()

    # --- what an outcome leads to ----------------------------------------------------------

    def _outcome(self, place: Place, line: Line, outcome: Outcome) -> None:
        match outcome:
            case Done():
                line.status, line.doubt = _S.SUCCEEDED, False
            case Wait():
                line.status = _S.WAITING
                line.tries -= 1
            case NotAsked():
                raise AssertionError("told before")
            case Refused():
                self._give_up(place, line)
            case RetryLater() | NotApplied():
                self._again(place, line, _S.UNKNOWN if line.doubt else _S.READY)
            case Unknown():
                line.doubt = True
                if self._asks(place):
                    line.status = _S.UNKNOWN
                elif self._may_repeat(place, line):
                    self._again(place, line, _S.UNKNOWN)
                else:
                    self._give_up(place, line)

    def _not_asked(self, place: Place, line: Line) -> None:
        """Nothing is spent, and what may have happened stays an open question."""
        if self._asks(place):
            line.probes -= 1
        else:
            line.tries -= 1
        line.status = _S.UNKNOWN if line.doubt else _S.WAITING

    def _verdict(self, place: Place, line: Line, outcome: Outcome) -> None:
        if not isinstance(outcome, NotApplied):
            self._again(place, line, _S.UNKNOWN)
            return
        line.doubt, line.doubted, line.probes = False, True, 0
        if self._spent(place, line):
            self._give_up(place, line)
        else:
            line.status = _S.READY
            self.offers.add(place)

    def swept(self, places: Iterable[Place]) -> None:
        """A sweep finds lost what the run, which needs attention, had in flight: nothing is called.

        It comes up again when the run goes on, if it would have been repeated, or asked.
        """
        self._next()
        for place in places:
            if not self._ends_lost(place, line := self.lines[place]):
                line.status = _S.UNKNOWN if line.doubt else _S.READY

    def _lost(self, place: Place, line: Line) -> None:
        if self._ends_lost(place, line):
            self._go_on()
        else:
            self.take(place)

    def _ends_lost(self, place: Place, line: Line) -> bool:
        """What a lost attempt leads to; False: to another one."""
        step = self.saga.steps[place[1]]
        line.losses += 1
        line.doubt = line.doubt or not (step.atomic or step.waits)
        if line.losses >= self._poison:
            line.status = _S.UNKNOWN if line.doubt else _S.FAILED
            line.dropped = line.doubt
            self.status = _R.NEEDS_ATTENTION
        elif line.doubt and not self._asks(place) and not self._may_repeat(place, line):
            self._give_up(place, line)
        elif not line.doubt and self.halt and place[0] is FORWARD:
            line.status = _S.READY
        else:
            return False
        return True

    def _again(self, place: Place, line: Line, to: StepStatus) -> None:
        if self._spent(place, line):
            self._give_up(place, line)
            return
        line.status = to
        if to is _S.READY:
            self.offers.add(place)

    def _give_up(self, place: Place, line: Line) -> None:
        step = self.saga.steps[place[1]]
        if place[0] is BACKWARD:
            line.status = _S.FAILED
            self.status = _R.NEEDS_ATTENTION
        elif step.optional:
            line.status = _S.FAILED
        elif line.doubt and not tolerates_doubt(step):
            line.dropped = line.dropped or line.status is not _S.UNKNOWN
            line.status = _S.UNKNOWN
            self.status = _R.NEEDS_ATTENTION
        else:
            line.status = _S.FAILED
            if self.passed_pivot:
                self.status = _R.NEEDS_ATTENTION
            else:
                self.halt = self.halt or Halt.FAILED

    def _asks(self, place: Place) -> bool:
        verifies = self.saga.steps[place[1]].verifier is not None
        return place[0] is FORWARD and verifies and self.lines[place].doubt

    def _may_repeat(self, place: Place, line: Line) -> bool:
        if place[0] is FORWARD and (self.halt or not self.saga.steps[place[1]].idempotent):
            return False
        return not self._spent(place, line)

    def _spent(self, place: Place, line: Line) -> bool:
        step = self.saga.steps[place[1]]
        budget: Retry = self.saga.retry_of(step)
        tries = line.tries
        if place[0] is BACKWARD:
            assert step.compensation is not None
            budget = step.compensation.retry
        elif self._asks(place):
            budget, tries = step.verify_retry, line.probes
        return budget.attempts is not None and tries >= budget.attempts

    # --- going on, and turning back --------------------------------------------------------

    @property
    def passed_pivot(self) -> bool:
        """Whether the point of no return was passed."""
        pivot = self.saga.pivot
        through = (_S.SUCCEEDED, _S.SKIPPED)
        return pivot is not None and self.lines[FORWARD, pivot.name].status in through

    def _halting(self) -> bool:
        if self.passed_pivot:
            self.halt = Halt.NONE
        elif self.overdue:
            self.halt = self.halt or Halt.DEADLINE
        return bool(self.halt)

    def _go_on(self) -> None:
        if self.status is _R.COMPENSATING:
            self._backward()
        elif self.status in _GOING:
            if self._halting():
                self.offers.clear()
                self._turn_if_still()
            else:
                self._forward()
        if self.paused or self.status not in (*_GOING, _R.COMPENSATING):
            self.offers.clear()

    def _stop_if_nothing_comes(self) -> None:
        """An active run has something in flight, due at some time, or waited for."""
        ways = {_R.PENDING: FORWARD, _R.RUNNING: FORWARD, _R.COMPENSATING: BACKWARD}
        way = ways.get(self.status)
        if way and not any(self._comes(*item) for item in self.lines.items() if item[0][0] is way):
            self.status = _R.NEEDS_ATTENTION
            self.offers.clear()

    def _comes(self, place: Place, line: Line) -> bool:
        if self.halt and place[0] is FORWARD and not self._open(line):
            return False
        return line.status in _TAKEABLE and not line.dropped

    def _open(self, line: Line) -> bool:
        """Whether a run that turns back must know first how it ends."""
        doubtful = line.status is _S.READY and line.doubt
        return line.status in (_S.IN_FLIGHT, _S.UNKNOWN) or doubtful

    def _forward(self) -> None:
        while turn := self._whose_turn(FORWARD):
            fresh = [p for p in turn if self.lines[p].status is _S.PENDING]
            try:
                left_out = [p for p in fresh if not self._holds(self.saga.steps[p[1]])]
            except LookupError:
                self.status = _R.NEEDS_ATTENTION
                return
            for place in left_out:
                self.lines[place].status = _S.SKIPPED
            if not left_out:
                self._offer(fresh)
                return
        self.status = _R.SUCCEEDED

    def _backward(self) -> None:
        turn = self._whose_turn(BACKWARD)
        self._offer(p for p in turn if self.lines[p].status is _S.PENDING)
        if not turn:
            self.status = _R.COMPENSATED

    def _offer(self, places: Iterable[Place]) -> None:
        for place in places:
            self.lines[place].status = _S.READY
            self.offers.add(place)

    def _whose_turn(self, way: Direction) -> list[Place]:
        """Steps that are not through, with nothing before them that is not through."""
        todo = [p for p, line in self.lines.items() if p[0] is way and not self._through(p, line)]
        return [p for p in todo if not any(self._comes_before(q, p) for q in todo)]

    def _through(self, place: Place, line: Line) -> bool:
        given_up = line.status is _S.FAILED and self.saga.steps[place[1]].optional
        return line.status in (_S.SUCCEEDED, _S.SKIPPED) or (place[0] is FORWARD and given_up)

    def _comes_before(self, one: Place, other: Place) -> bool:
        pair = (one[1], other[1]) if one[0] is FORWARD else (other[1], one[1])
        return pair in self._before

    def _turn_if_still(self) -> None:
        """Back, once nothing is in flight and no question is open."""
        forward = self._forward_lines()
        for place, line in forward.items():
            paused = line.status in (_S.READY, _S.UNKNOWN, _S.WAITING)
            if paused and line.doubt and self.saga.steps[place[1]].verifier is None:
                self._give_up(place, line)
        if self.status is _R.NEEDS_ATTENTION:
            return
        if not any(self._open(line) for line in forward.values()):
            self._turn(forward)

    def _forward_lines(self) -> dict[Place, Line]:
        return {place: line for place, line in self.lines.items() if place[0] is FORWARD}

    def _turn(self, forward: dict[Place, Line]) -> None:
        for line in forward.values():
            if line.status in (_S.READY, _S.WAITING):
                line.status = _S.PENDING
        if self.status is _R.PENDING:
            self.status = _R.COMPENSATED
        elif any(self._hopeless(*item) for item in forward.items()):
            self.status = _R.NEEDS_ATTENTION
        else:
            self._turn_back(forward)

    def _hopeless(self, place: Place, line: Line) -> bool:
        doubtful = line.status is _S.FAILED and line.doubt
        return doubtful and not tolerates_doubt(self.saga.steps[place[1]])

    def _turn_back(self, forward: dict[Place, Line]) -> None:
        self.status, self.epoch = _R.COMPENSATING, self.epoch + 1
        for (_, name), line in forward.items():
            step = self.saga.steps[name]
            undoable = step.kind is Kind.COMPENSATABLE
            late = line.doubt or (line.doubted and tolerates_doubt(step))
            may_be = line.status is _S.SUCCEEDED or (line.status is _S.FAILED and late)
            if undoable and may_be:
                self.lines[BACKWARD, name] = Line()
        self._backward()


_TAKEABLE = (_S.READY, _S.UNKNOWN, _S.WAITING, _S.IN_FLIGHT)


def tolerates_doubt(step: Step) -> bool:
    """Whether a step can be left, or undone, without knowing whether it happened."""
    if step.kind is Kind.COMPENSATABLE and step.compensation is not None:
        return step.compensation.tolerates_nothing
    return step.kind is Kind.HARMLESS


def before(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    """Every pair of steps of which the first must be through before the second begins."""
    for index, node in enumerate(nodes):
        later: list[Any] = list(walk(nodes[index + 1 :]))
        yield from ((one.name, other.name) for one in walk([node]) for other in later)
        if isinstance(node, Parallel):
            for branch in node.branches:
                yield from before(branch)

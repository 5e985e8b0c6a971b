"""The table of moves against a second one, written by hand from the drawings on the lifecycle page.

A draft is walked at random: it takes every move that the drawings have, and refuses every other
without a trace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any, ClassVar
from unittest.mock import patch
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sagas.define import draft as drafts
from sagas.define.draft import Draft
from sagas.define.view import RunView, StepView
from sagas.errors import IllegalMove
from sagas.history import Fact, replay
from sagas.states import (
    RUN_MOVES,
    TERMINAL_RUNS,
    Direction,
    RunStatus,
    StepStatus,
)

_RUN_DRAWN = """
    pending → running
    pending → compensated
    pending → needs_attention
    running → succeeded
    running → compensating
    running → needs_attention
    compensating → compensated
    compensating → needs_attention
    needs_attention → running
    needs_attention → compensating
    needs_attention → resolved
"""
_STEP_DRAWN = """
    pending → ready
    pending → in_flight
    pending → skipped
    ready → in_flight
    ready → pending
    ready → skipped
    ready → failed
    in_flight → succeeded
    in_flight → ready
    in_flight → waiting
    in_flight → unknown
    in_flight → failed
    in_flight → in_flight
    waiting → succeeded
    waiting → in_flight
    waiting → pending
    waiting → unknown
    waiting → failed
    unknown → in_flight
    unknown → succeeded
    unknown → ready
    unknown → failed
    failed → ready
    failed → skipped
"""


def _arrows(drawn: str) -> set[tuple[str, str]]:
    pairs = (line.split(" → ") for line in drawn.strip().splitlines())
    return {(old.strip(), new.strip()) for old, new in pairs}


_RUN, _STEP = _arrows(_RUN_DRAWN), _arrows(_STEP_DRAWN)


class Walk(RuleBasedStateMachine):
    """Moves tried at random on one draft; the drawings say which of them it takes."""

    tried: ClassVar[Counter[tuple[str, str, str, bool]]] = Counter()

    @initialize(way=st.sampled_from(Direction))
    def begin(self, way: Direction) -> None:
        self.way = way
        self.draft = Draft(RunView(UUID(int=1), "flow", 1, "f", "k", "{}"))
        self.row = StepView(1, "a", way, 0)
        self.draft.view.steps[way, "a"] = self.row
        self.stands: dict[str, str] = {"run": "pending", "step": "pending"}
        self.made = 0

    @rule(to=st.sampled_from(RunStatus))
    def the_run_is_moved(self, to: RunStatus) -> None:
        self._try("run", _RUN, to, lambda: self.draft.run(to))

    @rule(to=st.sampled_from(StepStatus), due=st.none() | st.just(5.0))
    def the_step_is_moved(self, to: StepStatus, due: float | None) -> None:
        if self._try("step", _STEP, to, lambda: self.draft.step(self.row, to, due_in=due)):
            assert self.row.free_in == due

    @precondition(lambda self: self.stands["step"] in ("succeeded", "skipped"))
    @rule()
    def another_step_follows(self) -> None:
        self.row.status, self.stands["step"] = StepStatus.PENDING, "pending"

    @rule()
    def the_run_is_parked(self) -> None:
        """Parking twice is no move, and leaves the first reason."""
        if self.stands["run"] == "needs_attention":
            reason, self.made = self.draft.view.attention, self.made + 1
            self.draft.park("again")
            assert self.draft.view.attention == reason
        else:
            self._try("run", _RUN, RunStatus.NEEDS_ATTENTION, lambda: self._park())

    @invariant()
    def it_stands_where_the_drawings_say(self) -> None:
        assert self.draft.view.status == self.stands["run"]
        assert self.row.status == self.stands["step"]
        assert len(self.draft.events) == self.made

    def _park(self) -> None:
        reason = self.draft.view.attention
        try:
            self.draft.park("a person is needed")
        finally:
            if self.stands["run"] in TERMINAL_RUNS:
                self.draft.view.attention = reason

    def _try(self, what: str, drawn: set[tuple[str, str]], to: str, move: Any) -> bool:
        old = self.stands[what]
        allowed = (old, str(to)) in drawn
        self.tried[what, old, str(to), allowed] += 1
        if not allowed:
            with pytest.raises(IllegalMove, match=f"cannot go {old} → {to}"):
                move()
            return False
        move()
        self.stands[what], self.made = str(to), self.made + 1
        return True


def test_a_draft_that_is_walked_at_random_stands_where_the_drawings_say() -> None:
    class Counted(Walk):
        tried = Counter()

    walks = settings(max_examples=100, stateful_step_count=50, deadline=None)
    run_state_machine_as_test(Counted, settings=walks)
    assert len({tried for tried in Counted.tried if not tried[-1]}) > 40, "hardly any was refused"


# --- every pair ----------------------------------------------------------------------------


def _taken() -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The moves of runs and of steps, of all that there could be, that a draft takes."""
    runs = {pair for pair in product(RunStatus, RunStatus) if _takes(_run_at(pair[0]), pair[1])}
    steps = {pair for pair in product(StepStatus, StepStatus) if _takes(_step_at(pair[0]), pair[1])}
    return {(str(o), str(n)) for o, n in runs}, {(str(o), str(n)) for o, n in steps}


def _takes(move: Callable[[Any], None], to: Any) -> bool:
    try:
        move(to)
    except IllegalMove:
        return False
    return True


def _run_at(status: RunStatus) -> Callable[[RunStatus], None]:
    return Draft(RunView(UUID(int=1), "flow", 1, "f", "k", "{}", status=status)).run


def _step_at(status: StepStatus) -> Callable[[StepStatus], None]:
    draft = Draft(RunView(UUID(int=1), "flow", 1, "f", "k", "{}"))
    return partial(draft.step, StepView(1, "a", Direction.FORWARD, 0, status))


def test_a_draft_takes_the_moves_that_are_drawn_and_no_other() -> None:
    assert _taken() == (_RUN, _STEP)


@pytest.mark.parametrize(
    ("table", "old", "news"),
    [
        ("RUN_MOVES", RunStatus.COMPENSATED, {RunStatus.RUNNING}),
        ("RUN_MOVES", RunStatus.NEEDS_ATTENTION, {RunStatus.RUNNING}),
        ("STEP_MOVES", StepStatus.SUCCEEDED, {StepStatus.IN_FLIGHT}),
        ("STEP_MOVES", StepStatus.UNKNOWN, {StepStatus.PENDING}),
    ],
)
def test_a_table_that_is_changed_is_found_out(table: str, old: Any, news: set[Any]) -> None:
    with patch.object(drafts, table, {**getattr(drafts, table), old: frozenset(news)}):
        assert _taken() != (_RUN, _STEP)


# --- what follows from the table -----------------------------------------------------------


def _reached(start: Iterable[str], arrows: set[tuple[str, str]]) -> set[str]:
    seen, todo = set(start), list(start)
    while todo:
        old = todo.pop()
        for new in {n for o, n in arrows if o == old} - seen:
            seen.add(new)
            todo.append(new)
    return seen


def test_from_everywhere_a_run_can_come_to_an_end() -> None:
    for status in RunStatus:
        assert _reached([status], _RUN) & TERMINAL_RUNS, status


def test_no_run_goes_forward_again_once_it_compensates_unless_a_person_says_so() -> None:
    unattended = {(old, new) for old, new in _RUN if old != RunStatus.NEEDS_ATTENTION}
    reached = _reached([RunStatus.COMPENSATING], unattended)
    assert not reached & {RunStatus.PENDING, RunStatus.RUNNING, RunStatus.SUCCEEDED}


def test_a_step_that_was_claimed_is_never_pending_without_surely_having_done_nothing() -> None:
    """From in flight the way back to pending leads through ready or waiting: its own answers."""
    assert {old for old, new in _STEP if new == StepStatus.PENDING} == {"ready", "waiting"}
    assert (StepStatus.UNKNOWN, StepStatus.PENDING) not in _STEP


def test_the_log_of_any_illegal_move_is_found_to_be_no_history() -> None:
    for old in RunStatus:
        for new in set(RunStatus) - RUN_MOVES[old] - {old}:
            facts = [Fact("", "", o, n, 1) for o, n in _path(old, _RUN)]
            told = replay([Fact("", "", "", "pending", 1), *facts, Fact("", "", old, new, 1)])
            assert any("no legal move" in problem for problem in told.problems), (old, new)


def _path(to: str, arrows: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """The shortest way from pending."""
    ways: list[list[tuple[str, str]]] = [[]]
    for way in ways:
        at = way[-1][1] if way else "pending"
        if at == to:
            return way
        ways += [[*way, arrow] for arrow in sorted(arrows) if arrow[0] == at and arrow not in way]
    raise AssertionError(f"{to} cannot be reached")

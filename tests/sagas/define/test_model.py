"""The planner against the lifecycle page, whatever happens to whatever saga; and broken ones."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from sagas.define import frontier, plan
from sagas.define.backoff import Retry
from sagas.define.draft import Draft
from sagas.define.outcome import Done, NotAsked, Outcome, Unknown, Wait
from sagas.define.saga import Definition, walk
from sagas.define.step import Step
from sagas.define.view import RunView, StepView
from sagas.states import (
    RUN_MOVES,
    STEP_MOVES,
    TERMINAL_RUNS,
    Direction,
    Halt,
    RunStatus,
    StepStatus,
)
from tests.sagas.define.machine import Machine
from tests.sagas.define.world import World
from tests.sagas.flows import flow, simple, verified

_EXAMPLES = settings(
    max_examples=int(os.environ.get("MODEL_EXAMPLES", "600")),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_LEAST_MOVES = 20_000
_R, _S = RunStatus, StepStatus


# --- the planner keeps to the page ---------------------------------------------------------


def test_whatever_happens_the_planner_keeps_to_the_page_and_to_the_invariants() -> None:
    moves_made(_EXAMPLES)


def test_the_model_makes_every_move_and_every_deed() -> None:
    """From a fixed seed: of the rarest there are only a few, and in some draws none."""
    seen = moves_made(settings(_EXAMPLES, max_examples=1200, database=None, derandomize=True))
    assert not [what for what in _EXPECTED if not seen.counts[what]], seen.counts
    assert _planners_moves() - _RARE <= seen.moves, "a move that nothing here makes"


def moves_made(how: settings) -> type[Machine]:
    """Run the model; gives the machine with what it counted."""

    class Counted(Machine):
        counts = Counter()
        moves = set()

    run_state_machine_as_test(Counted, settings=how)
    made = sum(Counted.counts[what] for what in _DEEDS)
    print(f"moves of a run: {made}, of these {Counted.counts}")
    assert made >= _LEAST_MOVES
    return Counted


_ACTIONS = ("retry", "skip", "mark", "restart", "compensate", "pause", "resume", "resolve")
_DEEDS = (
    "message",
    "answer",
    "late answer",
    "lost",
    "swept",
    "time",
    "cancel",
    "signal",
    *_ACTIONS,
)
_EXPECTED = (
    *_DEEDS,
    "two blockers",
    "late success",
    "NotAsked",
    *(f"ended {status}" for status in (*sorted(TERMINAL_RUNS), _R.NEEDS_ATTENTION)),
    *(f"halted {halt}" for halt in Halt),
)


def _planners_moves() -> set[tuple[str, str]]:
    """All moves that are allowed and that need no person's decision."""
    table: dict[Any, Any] = {**RUN_MOVES, **STEP_MOVES}
    return {(old, new) for old, news in table.items() for new in news} - _A_PERSONS


_A_PERSONS = {
    *((_R.NEEDS_ATTENTION, new) for new in RUN_MOVES[_R.NEEDS_ATTENTION]),
    *((_S.FAILED, new) for new in STEP_MOVES[_S.FAILED]),
    (_S.READY, _S.SKIPPED),
    (_S.UNKNOWN, _S.READY),
    (_S.UNKNOWN, _S.SUCCEEDED),
}


_RARE = {
    *((_S.UNKNOWN, _S.FAILED), (_S.WAITING, _S.FAILED), (_S.WAITING, _S.UNKNOWN)),
    (_S.WAITING, _S.SUCCEEDED),  # only earlier versions made it: it is in the history of their runs
    (_S.READY, _S.FAILED),  # the planner itself raised: tests/sagas/run/test_faults.py
}


@pytest.mark.parametrize(
    ("tolerant", "outcomes", "move", "ending"),
    [
        (True, [Unknown("reset")], (_S.UNKNOWN, _S.FAILED), _R.COMPENSATED),
        (True, [Unknown("reset"), Wait(5.0)], (_S.WAITING, _S.FAILED), _R.COMPENSATED),
        (False, [Unknown("reset"), Wait(5.0)], (_S.WAITING, _S.UNKNOWN), _R.NEEDS_ATTENTION),
    ],
)
def test_so_it_does_when_a_cancel_finds_a_step_open_that_may_have_happened(
    tolerant: bool, outcomes: list[Outcome], move: tuple[str, str], ending: RunStatus
) -> None:
    class Told(World):
        counts, moves = Counter(), set()

    world = Told(flow(["a", _open(tolerant), "c"]))
    for outcome in (Done(), *outcomes):
        world.deliver(world.due()[0], carries=False)
        world.check()
        world.answer(world.flying[0], outcome, carries=False, happens=True)
        world.check()
    world.cancel()
    while world.one_good_move():
        world.check()
    world.close()
    assert move in Told.moves
    assert world.run.status is ending


@pytest.mark.parametrize(
    ("found", "ending"), [(True, _R.SUCCEEDED), (False, _R.NEEDS_ATTENTION)], ids=["found", "again"]
)
def test_a_late_success_needs_a_person_only_if_the_step_was_done_once_more(
    found: bool, ending: RunStatus
) -> None:
    """What its verify has found is the very effect that the late answer tells of."""
    world = World(flow([verified("a", idempotent=False), "b"]))
    world.deliver(world.due()[0], carries=False)
    frozen = world.flying.pop()
    world.stored.lapsed.add(frozen.place)
    world.grounds.add("a worker fell silent")
    if found:
        world.call(frozen)
    world.deliver(world.due()[0], carries=False)
    world.one_good_move()  # verify answers
    if not found:  # it happens only now, and the step is done again
        frozen.happened = True
        world.deliver(world.due()[0], carries=False)
        world.one_good_move()
    world.flying.append(frozen)
    world.answer(frozen, Done(), carries=False, happens=True)
    while world.one_good_move():
        world.check()
    assert world.run.status is ending


def _open(tolerant: bool) -> Step:
    return simple("b", retry=Retry(base=0.0), undo={"tolerates_nothing": tolerant})


# --- a planner that is broken is found out -------------------------------------------------


def _forward_order(nodes: Any, direction: Direction) -> Iterator[Any]:
    return iter(nodes)


def _same_epoch(saga: Definition, draft: Draft, worker: Any) -> None:
    _turn_back(saga, draft, worker)
    draft.view.epoch = 1


_turn_back = plan._turn_back


def _awaits(row: StepView) -> bool:
    return row.awaits


def _only_certain(saga: Definition, row: StepView) -> bool:
    return row.status is _S.SUCCEEDED and saga.steps[row.name].compensation is not None


def _without_flying(saga: Definition, view: RunView, direction: Direction) -> list[Any]:
    steps = frontier.frontier(saga, view, direction)
    return [s for s in steps if view.steps[direction, s.name].status is not _S.IN_FLIGHT]


def _repeats(saga: Definition, draft: Draft, step: Step, row: StepView) -> bool:
    turning = row.direction is Direction.FORWARD and bool(draft.view.halt)
    return not turning and not plan._exhausted(saga, draft, row)


def _all_at_once(nodes: Any, passed: Any, direction: Any) -> list[Any]:
    return [step for step in walk(nodes) if not passed(step)]


def _paid_for(draft: Draft, step: Step, row: StepView, outcome: NotAsked) -> None:
    to = StepStatus.UNKNOWN if row.in_doubt else StepStatus.WAITING
    draft.step(row, to, due_in=5.0, error=outcome.reason)


def _keep_halt(saga: Definition, draft: Draft) -> bool:
    view = draft.view
    if not view.halt and view.overdue and not plan.past_pivot(saga, view):
        plan._set_halt(draft, Halt.DEADLINE)
    return view.halt is not Halt.NONE


Break = Callable[[], AbstractContextManager[Any]]
_UNSAFE: dict[str, tuple[str, Break]] = {
    "compensates in forward order": (
        "I7: .* was undone before",
        lambda: patch.object(frontier, "_ordered", _forward_order),
    ),
    "turns back within the old epoch": (
        "I10: epoch",
        lambda: patch.object(plan, "_turn_back", _same_epoch),
    ),
    "compensates past the pivot": (
        "I8: .* although the pivot happened",
        lambda: patch.object(plan, "past_pivot", lambda *_: False),
    ),
    "claims what is not due": (
        "I5: .* is not due|I11: a person is asked for nothing",
        lambda: patch.object(StepView, "needs_worker", property(_awaits)),
    ),
    "forgets what is in doubt when it turns back": (
        "I4: .* happened and was not undone",
        lambda: patch.object(plan, "_to_undo", _only_certain),
    ),
    "ends while a branch is in flight": (
        "I1: (succeeded|compensat)|I4: compensated, and not everything|IllegalMove",
        lambda: patch.object(plan, "frontier", _without_flying),
    ),
    "turns back while a branch is in flight": (
        "I1: compensat|IllegalMove|KeyError",
        lambda: patch.object(plan, "_open", lambda *_: False),
    ),
    "repeats what is not idempotent": (
        "I3: .* has 2 effects",
        lambda: patch.object(plan, "_may_repeat", _repeats),
    ),
    "undoes what may not have happened": (
        "I4: .* had not happened|I8: ",
        lambda: patch.object(Step, "tolerates_doubt", property(lambda _: True)),
    ),
    "leaves in flight what a stopped run has lost": (
        "I12: ",
        lambda: patch.object(plan, "lost", lambda saga, view, poison: Draft(view)),
    ),
    "does not wait for its turn": (
        "I7: .* was (claimed|undone) before",
        lambda: patch.object(frontier, "_next", _all_at_once),
    ),
    "goes on although it is to turn back": (
        "I7: .* although the run is to turn back",
        lambda: patch.object(plan, "_worth_claiming", lambda *_: True),
    ),
    "is stuck behind an optional step": (
        "stuck|I1: it came to rest|I11: a person is asked for nothing",
        lambda: patch.object(frontier, "_given_up", lambda *_: False),
    ),
}
_UNSAFE["does not stop again for what still blocks the run"] = (
    "stuck: the run is",
    lambda: patch.object(plan, "alive", lambda saga, draft: draft),
)
_DISOBEDIENT: dict[str, Break] = {
    "never gives up": lambda: patch.object(plan, "_exhausted", lambda *_: False),
    "counts an attempt that asked nobody": lambda: patch.object(plan, "_not_asked", _paid_for),
    "never verifies": lambda: patch.object(plan, "probing", lambda *_: False),
    "honours a cancel after the pivot": lambda: patch.object(plan, "_must_halt", _keep_halt),
    "leaves a doubt that nothing undoes": lambda: patch.object(
        plan, "doubtful_for_ever", lambda *_: False
    ),
}


@pytest.mark.parametrize("name", _UNSAFE)
def test_a_planner_that_is_unsafe_breaks_an_invariant(name: str) -> None:
    """Found without the page: the invariants alone tell."""
    invariant, broken = _UNSAFE[name]

    class Unread(Machine):
        reads_the_book = False

    said = _said_of(Unread, broken)
    assert re.search(invariant, said), f"of a planner that {name} it said: {said or 'nothing'}"


@pytest.mark.parametrize("name", _DISOBEDIENT)
def test_a_planner_that_does_something_else_than_the_page_is_found_out(name: str) -> None:
    assert _said_of(Machine, _DISOBEDIENT[name]), f"nobody noticed a planner that {name}"


def _said_of(machine: type[Machine], broken: Break) -> str:
    """The first error that a broken planner leads to: its kind and first line; empty: none."""
    quick = settings(
        _EXAMPLES, max_examples=1500, database=None, derandomize=True, phases=[Phase.generate]
    )
    try:
        with broken():
            run_state_machine_as_test(machine, settings=quick)
    except Exception as error:  # a planner that is broken may break in any way
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""

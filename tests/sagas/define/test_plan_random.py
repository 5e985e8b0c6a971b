"""The planner keeps the invariants whatever happens, in whatever order, to whatever saga."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sagas.define import frontier, plan
from sagas.define.saga import walk
from sagas.define.step import Step
from sagas.define.view import StepView
from sagas.states import RunStatus, StepStatus
from tests.sagas.define.invariants import problems
from tests.sagas.define.paper import BACKWARD, FORWARD, Paper
from tests.sagas.define.random_sagas import random_saga

_RUNS_A_SAGA = 6


def played(seed: int) -> Iterator[Paper]:
    """Several runs of one random saga."""
    dice = random.Random(seed)
    saga = random_saga(dice)
    for _ in range(_RUNS_A_SAGA):
        yield Paper(
            saga,
            dice,
            trouble=dice.choice((0, 1, 2, 4, 8)),
            duplicates=dice.choice((0, 0, 3)),
            cancels=dice.random() < 0.3,
            deadline=dice.choice((None, None, None, 0.5)),
        ).play()


@settings(max_examples=600, deadline=None)
@given(st.integers(min_value=0, max_value=2**64))
def test_every_run_ends_and_keeps_the_invariants(seed: int) -> None:
    for paper in played(seed):
        assert list(problems(paper)) == [], "\n".join(paper.story)


@settings(max_examples=50, deadline=None)
@given(st.integers(min_value=0, max_value=2**64))
def test_without_mishaps_every_run_succeeds(seed: int) -> None:
    dice = random.Random(seed)
    paper = Paper(random_saga(dice), dice).play()
    assert paper.view.status is RunStatus.SUCCEEDED
    assert all(count == 1 for count in paper.effects.values())


def test_what_can_happen_does_happen_here() -> None:
    seen: Counter[str] = Counter()
    for seed in range(150):
        for paper in played(seed):
            seen[paper.view.status] += 1
            seen.update(paper.grounds)
            seen.update(_rarities(paper))
    rare = [what for what in _EXPECTED if seen[what] < 5]
    assert not rare, seen


_EXPECTED = [
    *(RunStatus.SUCCEEDED, RunStatus.COMPENSATED, RunStatus.NEEDS_ATTENTION),
    "a worker was lost",
    "an outcome was unknown",
    "a compensation did not work",
    "a step was refused after the pivot",
    "cancelled",
    "deadline",
    "an optional step was given up",
    "a doubtful step was undone",
    "undone side by side",
]


def _rarities(paper: Paper) -> Iterator[str]:
    yield paper.view.halt
    forward = paper.view.rows(FORWARD)
    if any(r.status is StepStatus.FAILED and paper.saga.steps[r.name].optional for r in forward):
        yield "an optional step was given up"
    if any(r.in_doubt and paper.view.step(r.name, BACKWARD) for r in forward):
        yield "a doubtful step was undone"
    if any("backward" in line and line.count("backward") > 2 for line in paper.story):
        yield "undone side by side"


# --- a planner that is broken is found out -------------------------------------------------


_BREAKS: list[tuple[str, Callable[[], Any]]] = [
    ("I3", lambda: patch.object(plan, "_may_repeat", lambda *_: True)),
    ("I4", lambda: patch.object(plan, "_open", lambda *_: False)),
    ("I4", lambda: patch.object(Step, "tolerates_doubt", property(_always))),
    ("I7", lambda: patch.object(frontier, "_next", _first_two)),
    ("I8", lambda: patch.object(plan, "past_pivot", lambda *_: False)),
    ("nobody took it over", lambda: patch.object(StepView, "needs_worker", property(_always))),
]


def _first_two(nodes: Any, passed: Any, direction: Any) -> Any:
    return [step for step in walk(nodes) if not passed(step)][:2]


def _always(_of: object) -> bool:
    return True


@pytest.mark.parametrize(("invariant", "broken"), _BREAKS)
def test_a_broken_planner_is_found_out(invariant: str, broken: Callable[[], Any]) -> None:
    with broken():
        found = _found(invariant)
    assert found


def _found(invariant: str) -> bool:
    for seed in range(300):
        try:
            if any(p.startswith(invariant) for paper in played(seed) for p in problems(paper)):
                return True
        except Exception as error:  # a planner that is broken may break in any way
            if str(error).startswith(invariant):
                return True
    return False

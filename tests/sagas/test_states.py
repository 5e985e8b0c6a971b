"""The tables of moves, and the page that draws them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sagas.states import (
    ACTIVE_RUNS,
    MOVING_RUNS,
    RESTING_RUNS,
    RUN_MOVES,
    SETTLED_STEPS,
    STEP_MOVES,
    TERMINAL_RUNS,
    UNFINISHED_RUNS,
    Direction,
    RunStatus,
    StepStatus,
    sql_list,
)

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"
_ENGINE = Path(__file__).resolve().parents[2] / "sagas"
_START = "\N{EN DASH}"


def drawn(heading: str) -> set[tuple[str, str]]:
    """The moves in the first table below a heading; a cell may name several states."""
    section = _PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| .*\|$", section, re.MULTILINE)[1:]
    pairs = {(old, new) for o, n in rows for old in o.split(", ") for new in n.split(", ")}
    return {(old.replace(" ", "_"), new.replace(" ", "_")) for old, new in pairs}


def moves(table: Mapping[Any, frozenset[Any]]) -> set[tuple[str, str]]:
    return {(old.value, new.value) for old, news in table.items() for new in news}


def test_the_page_shows_every_move_of_a_run() -> None:
    assert drawn("A run") - {("---", "---")} == moves(RUN_MOVES) | {(_START, "pending")}


def test_the_page_shows_every_move_of_a_step() -> None:
    assert drawn("A step") - {("---", "---")} == moves(STEP_MOVES)


def test_every_status_has_its_moves() -> None:
    assert set(RUN_MOVES) == set(RunStatus)
    assert set(STEP_MOVES) == set(StepStatus)


def test_three_states_are_final() -> None:
    final = {RunStatus.SUCCEEDED, RunStatus.COMPENSATED, RunStatus.RESOLVED}
    assert final == TERMINAL_RUNS


def test_every_state_can_be_reached() -> None:
    for table, first in ((RUN_MOVES, RunStatus.PENDING), (STEP_MOVES, StepStatus.PENDING)):
        assert {new for news in table.values() for new in news} | {first} == set(table)


def test_a_run_that_is_over_or_needs_a_person_is_active_in_no_direction() -> None:
    active = {status for statuses in ACTIVE_RUNS.values() for status in statuses}
    assert active == set(RunStatus) - TERMINAL_RUNS - {RunStatus.NEEDS_ATTENTION}
    assert not ACTIVE_RUNS[Direction.FORWARD] & ACTIVE_RUNS[Direction.BACKWARD]


def test_what_is_settled_is_never_moved_again() -> None:
    assert all(not STEP_MOVES[status] for status in SETTLED_STEPS)


def test_only_a_person_leaves_needs_attention() -> None:
    """Nothing but an operator's verb may leave it, so no planner does."""
    leaves = RUN_MOVES[RunStatus.NEEDS_ATTENTION]
    assert leaves == {RunStatus.RUNNING, RunStatus.COMPENSATING, RunStatus.RESOLVED}


def test_every_set_of_statuses_has_its_name_in_one_place() -> None:
    """A set of statuses in another module, or listed in its SQL, would come to disagree."""
    strays = [
        f"{path.relative_to(_ENGINE)}:{node.lineno}"
        for path in _ENGINE.rglob("*.py")
        if path.name != "states.py" and "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.expr) and _lists_statuses(node)
    ]
    assert strays == []


def _lists_statuses(node: ast.AST) -> bool:
    if isinstance(node, ast.Set | ast.List | ast.Tuple):
        named = [one for one in node.elts if isinstance(one, ast.Attribute)]
        owners = [one.value.id for one in named if isinstance(one.value, ast.Name)]
        return sum(owner in ("RunStatus", "StepStatus") for owner in owners) > 1
    text = node.value if isinstance(node, ast.Constant) else None
    return isinstance(text, str) and bool(_LISTED.search(text))


_LISTED = re.compile(
    r"status (IN \('|<?>?=? ?'(in_flight|waiting|unknown|needs_attention|compensating)')"
)


@pytest.mark.parametrize(
    "stray",
    [
        "x in {StepStatus.READY, StepStatus.UNKNOWN}",
        "x in (RunStatus.PENDING, RunStatus.RUNNING)",
        "\"SELECT 1 FROM sagas_run WHERE status IN ('pending')\"",
        "\"SELECT 1 FROM sagas_step WHERE status = 'in_flight'\"",
    ],
)
def test_a_set_of_statuses_elsewhere_is_found(stray: str) -> None:
    assert any(_lists_statuses(node) for node in ast.walk(ast.parse(stray)))


def test_the_sets_of_a_runs_statuses_cover_each_status_once() -> None:
    assert set(RunStatus) == RESTING_RUNS | MOVING_RUNS == UNFINISHED_RUNS | TERMINAL_RUNS
    assert not RESTING_RUNS & MOVING_RUNS


def test_statuses_are_listed_for_sql_in_one_order() -> None:
    assert sql_list(MOVING_RUNS) == "'compensating', 'pending', 'running'"


def test_status_is_written_in_one_module_only() -> None:
    """A grep: outside of migrations and the two writers no code sets a status in the database."""
    root = _PAGE.parents[1] / "sagas"
    writes = re.compile(r"UPDATE sagas_(run|step)\b(?!.*wake_at)|\.update\([^)]*status|\.save\(")
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if "migrations" not in path.parts and writes.search(path.read_text())
    }
    allowed = {
        "transitions.py",
        "operate/approval.py",  # of requests
        "operate/batch_run.py",  # of batches and their items
        "operate/bulk.py",  # the same
        "run/recover.py",  # leases and wake-ups only
        "testing/matrix.py",  # lets leases lapse
    }
    assert {"transitions.py"} <= found <= allowed, found ^ allowed

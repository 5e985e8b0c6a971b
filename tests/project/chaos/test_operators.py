"""Operators do all that fits a run, and nothing that would make its partner's account a lie."""

from __future__ import annotations

from typing import Any

import pytest

from project.chaos.operators import Row, fitting


def seen(status: str, *rows: tuple[str, str, str]) -> dict[str, Any]:
    """A run as the API tells it; its steps by name, direction and status."""
    steps = [dict(zip(("name", "direction", "status"), row, strict=True)) for row in rows]
    return {"status": status, "steps": [step | {"attempts": 1} for step in steps]}


def chosen(run: dict[str, Any], *, paused: bool = False, truth: bool | None = None) -> set[str]:
    """Each as its verb and what it is told."""

    def happened(row: Row) -> bool | None:
        assert row["status"] == "unknown"
        return truth

    return {
        " ".join([action.verb, *map(str, action.told.values())])
        for action in fitting(run, paused, happened)
    }


@pytest.mark.parametrize("status", ["succeeded", "compensated", "resolved"])
def test_nobody_touches_a_run_that_is_over(status: str) -> None:
    assert chosen(seen(status, ("a", "forward", "failed"))) == set()


def test_a_run_at_work_is_paused_or_cancelled_and_what_waits_is_hastened() -> None:
    run = seen("running", ("a", "forward", "succeeded"), ("b", "forward", "ready"))
    assert chosen(run) == {"pause", "cancel", "retry b"}
    assert chosen(run, paused=True) == {"resume", "cancel", "retry b"}


def test_of_a_run_that_stopped_each_failed_step_is_retried_skipped_or_restarted() -> None:
    run = seen("needs_attention", ("a", "forward", "succeeded"), ("x", "forward", "failed"))
    assert chosen(run) == {
        *("pause", "compensate", "resolve", "retry x", "skip x"),
        *("restart x True", "restart a True"),
    }


def test_a_step_in_doubt_is_marked_with_the_truth_and_repeated_only_if_it_did_not_happen() -> None:
    run = seen("needs_attention", ("a", "forward", "unknown"))
    others = {"pause", "resolve"}
    assert chosen(run, truth=True) - others == {"mark a True"}
    assert chosen(run, truth=False) - others == {"mark a False", "retry a"}
    assert chosen(run, truth=None) == {"pause"}


def test_of_a_run_that_turned_back_only_its_compensations_are_touched() -> None:
    run = seen("needs_attention", ("a", "forward", "failed"), ("b", "backward", "failed"))
    assert chosen(run) == {"pause", "resolve", "retry b", "skip b"}

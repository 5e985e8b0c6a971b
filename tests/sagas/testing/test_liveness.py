"""The count of runs that nothing will ever move."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from sagas.testing.liveness import stranded_runs
from tests.sagas.operate.rows import a_run, a_step

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("status", ["failed", "pending", "succeeded", "unknown", "ready"])
def test_an_active_run_with_nothing_scheduled_is_counted(status: str) -> None:
    run = a_run()
    a_step(run, status, due_at=None)
    assert stranded_runs() == [run.id]


@pytest.mark.parametrize(
    ("status", "values"),
    [
        ("ready", {"due_at": timezone.now()}),
        ("unknown", {"due_at": timezone.now()}),
        ("waiting", {"due_at": timezone.now()}),
        ("waiting", {"signal": "paid", "correlation": "k"}),
        ("in_flight", {"attempt": 1, "limit_at": timezone.now()}),
    ],
)
def test_an_active_run_that_something_will_move_is_not(status: str, values: dict[str, Any]) -> None:
    run = a_run()
    a_step(run, "failed", name="b")
    a_step(run, status, **values)
    assert stranded_runs() == []


def test_what_waits_in_the_other_direction_moves_nothing() -> None:
    run = a_run(status="compensating")
    a_step(run, "ready", due_at=timezone.now())
    assert stranded_runs() == [run.id]


def test_an_attempt_in_a_stopped_run_that_no_sweep_looks_at_is_counted() -> None:
    unseen = a_run(status="needs_attention")
    seen = a_run("l", status="needs_attention", wake_at=timezone.now())
    for run in (unseen, seen):
        a_step(run, "in_flight", attempt=1, limit_at=timezone.now())
    assert stranded_runs() == [unseen.id]


@pytest.mark.parametrize("status", ["needs_attention", "succeeded", "compensated", "resolved"])
def test_a_run_at_rest_is_not_counted(status: str) -> None:
    a_step(a_run(status=status), "failed")
    assert stranded_runs() == []

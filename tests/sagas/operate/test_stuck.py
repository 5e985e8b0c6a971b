from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import override_settings

from sagas.define.saga import Definition
from sagas.models import Hold, Run, Step
from sagas.operate.stuck import stuck
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago

pytestmark = pytest.mark.django_db
LATE, SOON = {"minutes": 6}, {"minutes": 4}


def keys() -> list[str]:
    return sorted(stuck(Run.objects.all()).values_list("business_key", flat=True))


def test_a_run_is_stuck_when_nobody_looked_at_it_though_it_was_time() -> None:
    a_run("late", wake_at=ago(**LATE))
    a_run("in time", wake_at=ago(**SOON))
    a_run("later", wake_at=ago(minutes=-60))
    assert keys() == ["late"]


@pytest.mark.parametrize("status", ["ready", "waiting", "unknown"])
def test_a_run_is_stuck_at_a_step_that_nobody_takes_though_it_is_due(status: str) -> None:
    for key, due in (("late", LATE), ("in time", SOON), ("later", {"minutes": -1})):
        a_step(a_run(key, wake_at=ago(seconds=-30)), status, due_at=ago(**due))
    assert keys() == ["late"]


def test_a_run_is_stuck_at_a_step_that_does_not_end_though_its_time_is_up() -> None:
    for key, limit in (("late", LATE), ("in time", SOON)):
        run = a_run(key, wake_at=ago(seconds=-30))
        a_step(run, "in_flight", attempt=1, limit_at=ago(**limit), due_at=None)
    assert keys() == ["late"]


@pytest.mark.parametrize("status", ["needs_attention", "succeeded", "compensated", "resolved"])
def test_a_run_that_does_not_go_on_by_itself_is_not_stuck(status: str) -> None:
    a_run("it", status, wake_at=ago(**LATE))
    assert keys() == []


@pytest.mark.parametrize("status", ["pending", "running", "compensating"])
def test_a_run_is_stuck_in_every_state_in_which_it_should_move(status: str) -> None:
    a_run("it", status, wake_at=ago(**LATE))
    assert keys() == ["it"]


def test_what_is_held_is_not_stuck() -> None:
    run = a_run("it", wake_at=ago(**LATE))
    Hold.objects.create(kind="run", target=str(run.pk), reason="why", placed_by="ann")
    assert keys() == []


def test_how_late_is_stuck_is_a_setting() -> None:
    a_run("it", wake_at=ago(**SOON))
    with override_settings(SAGAS={"STUCK_SECONDS": 200}):
        assert keys() == ["it"]
    with override_settings(SAGAS={"STUCK_SECONDS": 280}):
        assert keys() == []


def test_what_a_hold_has_just_let_go_is_not_stuck_while_its_turn_is_to_come(
    known: Callable[[Definition], Definition],
) -> None:
    known(flow([simple("a", partner="bank")]))
    run = a_run("it", wake_at=ago(seconds=-30))
    a_step(run, due_at=ago(hours=2))
    placed = Hold.objects.create(kind="partner", target="bank", reason="why", placed_by="ann")
    assert keys() == []
    Hold.objects.filter(pk=placed.pk).update(lifted_at=ago(**SOON), lifted_by="ann")
    assert keys() == []
    Hold.objects.filter(pk=placed.pk).update(lifted_at=ago(**LATE), lifted_by="ann")
    assert keys() == ["it"]


def test_a_step_that_nobody_may_take_any_more_makes_no_run_stuck() -> None:
    """Once it is to turn back, a run waits for what is in flight."""
    run = a_run("it", halt="cancelled", wake_at=ago(seconds=-30))
    a_step(run, due_at=ago(**LATE))
    flies = a_step(run, "in_flight", name="b", attempt=1, limit_at=ago(seconds=-30), due_at=None)
    assert keys() == []
    Step.objects.filter(pk=flies.pk).update(limit_at=ago(**LATE))
    assert keys() == ["it"]

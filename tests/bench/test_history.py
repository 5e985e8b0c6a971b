from __future__ import annotations

from uuid import UUID

import pytest
from django.db.models import Count

from bench import history
from sagas.models import Event, Run, Step
from sagas.states import TERMINAL_RUNS, RunStatus

pytestmark = pytest.mark.django_db
LARGE = UUID("01900000-0000-7000-a000-000000000001")


def test_a_history_has_runs_in_every_state_in_the_shares_that_are_said() -> None:
    history.store(5_000, vacuum=False)
    counts = dict(Run.objects.values_list("status").annotate(n=Count("id")).order_by())
    assert set(counts) == set(RunStatus)
    assert 0.88 < counts["succeeded"] / 5_000 < 0.92
    assert 0.005 < counts["needs_attention"] / 5_000 < 0.015


def test_ids_are_in_the_order_in_which_runs_were_started() -> None:
    history.store(500, vacuum=False)
    started = list(Run.objects.order_by("id").values_list("created_at", flat=True))
    assert started == sorted(started)
    assert {pk.version for pk in Run.objects.values_list("pk", flat=True)} == {7}


def test_what_is_not_over_has_steps_and_events() -> None:
    history.store(500, vacuum=False)
    for run in Run.objects.exclude(status__in=TERMINAL_RUNS):
        assert run.steps.count() == 5
        assert run.events.count() == run.steps.exclude(status="pending").count()


def test_a_history_can_grow() -> None:
    history.store(60, vacuum=False)
    history.store(100, first=61, vacuum=False)
    assert Run.objects.count() == 100
    assert Step.objects.values("run", "name").distinct().count() == Step.objects.count()


def test_the_large_run_has_its_steps_and_attempts() -> None:
    history.store_large(LARGE)
    assert Step.objects.filter(run=LARGE).count() == 200
    assert Event.objects.filter(run=LARGE, new="in_flight").count() == 2_000

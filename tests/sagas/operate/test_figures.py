from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from sagas.models import Run
from sagas.operate import figures as module
from sagas.operate.figures import HOURS, SagaFigures, figures
from tests.sagas.operate.rows import a_run

pytestmark = pytest.mark.django_db


def figure(name: str = "flow") -> SagaFigures:
    sagas, _, _ = figures(None)
    return next(saga for saga in sagas if saga.name == name)


def took(seconds: float, status: str = "succeeded", hours: int = 0, **values: str) -> None:
    """A run that ended so many hours of the clock ago."""
    at = timezone.now().replace(minute=0, second=1) - timedelta(hours=hours)
    run = a_run(f"{seconds}:{status}:{hours}", status, finished_at=at, **values)
    span = timedelta(seconds=seconds)
    Run.objects.filter(pk=run.pk).update(created_at=F("finished_at") - span)


def test_what_is_not_over_is_counted_by_saga_and_state() -> None:
    for key, status in (("a", "running"), ("b", "running"), ("c", "needs_attention")):
        a_run(key, status)
    a_run("d", saga="other")
    a_run("over", "succeeded")
    sagas, capped, now = figures(None)
    assert [(saga.name, saga.unfinished, saga.active) for saga in sagas] == [
        ("flow", {"running": 2, "needs_attention": 1}, 2),
        ("other", {"running": 1}, 1),
    ]
    assert not capped
    assert abs(now - timezone.now()) < timedelta(minutes=1)


def test_what_ended_is_counted_by_the_hour_of_the_last_day() -> None:
    for hours in (0, 0, 1, 23, 24, 30):
        took(1 + hours + len(str(Run.objects.count())) / 10 + Run.objects.count(), hours=hours)
    took(1, "compensated", hours=1)
    saga = figure()
    assert (saga.ended[-1], saga.ended[-2], saga.ended[0], sum(saga.ended)) == (2, 2, 1, 5)
    assert (saga.failed[-2], sum(saga.failed)) == (1, 1)
    assert len(saga.ended) == HOURS
    assert saga.rate == pytest.approx(0.2)


def test_how_long_runs_took_is_told_by_the_half_and_by_the_slowest() -> None:
    for seconds in range(1, 101):
        took(seconds)
    saga = figure()
    assert saga.median == pytest.approx(50.5, abs=1)
    assert saga.slow == pytest.approx(95, abs=1)


def test_where_nothing_has_ended_there_is_no_rate() -> None:
    a_run()
    saga = figure()
    assert (saga.rate, saga.median, saga.slow, sum(saga.ended)) == (None, None, None, 0)


def test_only_so_many_are_counted_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNFINISHED", 2)
    monkeypatch.setattr(module, "NEWEST", 2)
    for key in "abc":
        a_run(f"open {key}")
    for key in "abc":
        a_run(f"over {key}", "succeeded")
    sagas, capped, _ = figures(None)
    assert capped
    assert (sagas[0].unfinished, sum(sagas[0].ended)) == ({"running": 2}, 2)


def test_only_sagas_that_one_may_see_have_figures() -> None:
    a_run()
    a_run(saga="other")
    took(1, saga="other")
    assert [saga.name for saga in figures({"flow"})[0]] == ["flow"]
    assert figures(set())[0] == []

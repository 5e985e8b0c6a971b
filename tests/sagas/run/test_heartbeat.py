"""A worker's sign of life in the record."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from sagas.identity import identity
from sagas.models import Run, Step, Worker
from sagas.run import heartbeat
from tests.sagas.flows import flow
from tests.sagas.run.test_recover import died
from tests.sagas.stage import Actor, Known, begun, row
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]
_SECOND = timedelta(seconds=1)


def test_the_first_beat_says_who_lives_where() -> None:
    heartbeat.beat()
    found = Worker.objects.get()
    assert (found.name, str(found), found.pid) == (identity(), identity(), os.getpid())
    assert found.host
    assert found.lease_until - found.beat_at == pytest.approx(30 * _SECOND, abs=_SECOND)


def test_later_beats_move_the_lease_and_nothing_else() -> None:
    heartbeat.beat()
    Worker.objects.update(pid=7, lease_until=timezone.now() - 99 * _SECOND)
    before = Worker.objects.get()
    with counted() as statements:
        heartbeat.beat()
    after = Worker.objects.get()
    assert len(statements) == 1
    assert (after.pid, after.started_at) == (7, before.started_at)
    assert after.lease_until > timezone.now()


def test_a_beat_says_what_its_worker_reads_and_a_childs_beat_leaves_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heartbeat, "_queues", None)
    monkeypatch.setattr(heartbeat, "_processes", None)
    heartbeat.beat()  # a child was faster than its parent
    assert said() == ([], None)
    heartbeat.describe(["sagas", "payments"], 4)
    with counted() as statements:
        heartbeat.beat()
    assert len(statements) == 1
    assert said() == (["payments", "sagas"], 4)
    monkeypatch.setattr(heartbeat, "_queues", None)
    monkeypatch.setattr(heartbeat, "_processes", None)
    heartbeat.beat()
    assert said() == (["payments", "sagas"], 4)


def said() -> tuple[list[str], int | None]:
    """What the worker's row says of it."""
    found = Worker.objects.get()
    return found.queues, found.processes


def test_a_beat_says_so_when_it_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_queues", ["sagas"])
    monkeypatch.setattr(heartbeat, "_processes", 2)
    heartbeat.beat()
    assert said() == (["sagas"], 2)


def test_workers_that_are_gone_for_a_day_are_forgotten() -> None:
    for name, days in (("old", 2), ("late", 0.5)):
        Worker.objects.create(
            name=name, host="h", pid=1, lease_until=timezone.now() - timedelta(days=days)
        )
    heartbeat.beat()
    assert set(Worker.objects.values_list("name", flat=True)) == {"late", identity()}


def test_a_claim_beats_only_if_this_process_has_not_done_so_lately() -> None:
    heartbeat.ensure()
    with counted() as statements:
        heartbeat.ensure()
    assert statements == []
    with override_settings(SAGAS={"LEASE_SECONDS": 0.000_001}), counted() as statements:
        heartbeat.ensure()
    assert len(statements) == 1


def test_who_leaves_hands_back_what_it_holds_and_is_forgotten(known: Known) -> None:
    actor = Actor()
    saga = known(flow(actor.steps("ab")))
    run_id, other = begun(saga), begun(saga)
    died(run_id, "a")
    died(other, "a")
    Step.objects.filter(run=other).update(worker="another")
    heartbeat.leave()
    assert not Worker.objects.exists()
    assert Run.objects.filter(wake_at__lt=timezone.now()).get().pk == run_id
    limit_at = row(other, "a").limit_at
    assert limit_at is not None
    assert limit_at > timezone.now()

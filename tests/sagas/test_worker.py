"""What every worker does beside its tasks."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from celery import current_app
from django.db import OperationalError
from django.test import override_settings

from sagas import worker
from sagas.worker import Sweeper, live_pids


class Stop(BaseException):
    """Ends the endless loop of a test's sweeper."""


class Days:
    """A clock whose pauses pass at once; after some of them the loop is stopped."""

    def __init__(self, pauses: int) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self._left = pauses

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        self._left -= 1
        if not self._left:
            raise Stop


@pytest.fixture
def work() -> Iterator[Any]:
    """The sweep and the renewal, counted."""
    with (
        patch.object(worker, "sweep") as sweep,
        patch.object(worker, "renew") as renew,
        patch.object(worker, "connection") as connection,
    ):
        yield SimpleNamespace(sweep=sweep, renew=renew, connection=connection)


def ran(pauses: int) -> Days:
    """Let a sweeper run for that many rounds."""
    days = Days(pauses)
    with patch.object(worker, "time", days), pytest.raises(Stop):
        worker._run(SimpleNamespace(pool=None))
    return days


def test_it_sweeps_in_every_round_with_a_pause_that_varies(work: Any) -> None:
    with override_settings(SAGAS={"SWEEP_SECONDS": 10}):
        days = ran(50)
    assert work.sweep.call_count == 50
    assert all(8.0 <= pause <= 12.0 for pause in days.pauses)
    assert max(days.pauses) - min(days.pauses) > 1.0


def test_it_renews_well_before_a_lease_is_half_over(work: Any) -> None:
    with override_settings(SAGAS={"LEASE_SECONDS": 40, "SWEEP_SECONDS": 1}):
        days = ran(100)
    rounds = (days.now - 1000.0) / 10
    assert rounds * 0.8 <= work.renew.call_count <= rounds + 1


def test_it_renews_before_it_sweeps_so_that_it_takes_over_nothing_of_its_own(work: Any) -> None:
    order: list[str] = []
    work.sweep.side_effect = lambda: order.append("sweep")
    work.renew.side_effect = lambda pids: order.append("renew")
    ran(1)
    assert order == ["renew", "sweep"]


@pytest.mark.parametrize("fails", ["sweep", "renew"])
def test_it_outlives_a_database_that_is_away(work: Any, fails: str) -> None:
    getattr(work, fails).side_effect = OperationalError("gone")
    ran(5)
    assert work.connection.close.call_count == (5 if fails == "sweep" else work.renew.call_count)


def test_it_outlives_a_connection_that_cannot_even_be_closed(work: Any) -> None:
    work.sweep.side_effect = OperationalError("gone")
    work.connection.close.side_effect = OperationalError("gone, too")
    ran(5)
    assert work.sweep.call_count == 5


def test_a_renewal_that_failed_is_tried_again_in_the_next_round(work: Any) -> None:
    work.renew.side_effect = [OperationalError("gone"), None, None, None]
    with override_settings(SAGAS={"LEASE_SECONDS": 400, "SWEEP_SECONDS": 1}):
        ran(4)
    assert work.renew.call_count == 2


def test_the_thread_ends_with_its_process() -> None:
    started: list[threading.Thread] = []
    with (
        patch.object(worker, "_run"),
        patch.object(threading.Thread, "start", lambda thread: started.append(thread)),
    ):
        Sweeper(MagicMock()).start(MagicMock())
    (thread,) = started
    assert thread.daemon
    assert thread.name == "sagas-sweeper"


def test_it_starts_after_the_pool_whose_processes_are_forks() -> None:
    assert Sweeper.requires == ("celery.worker.components:Pool",)


def test_the_projects_workers_sweep() -> None:
    assert any("sagas.worker:Sweeper" in repr(step) for step in current_app.steps["worker"])


def test_the_pools_children_are_the_ones_that_are_alive() -> None:
    children = [SimpleNamespace(pid=11), SimpleNamespace(pid=12)]
    prefork = SimpleNamespace(pool=SimpleNamespace(_pool=SimpleNamespace(_pool=children)))
    assert live_pids(prefork) == [11, 12]


@pytest.mark.parametrize("pool", [None, SimpleNamespace(_pool=None), SimpleNamespace()])
def test_without_children_it_is_this_process(pool: Any) -> None:
    assert live_pids(SimpleNamespace(pool=pool)) == [os.getpid()]

"""What every worker does beside its tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from celery import current_app, signals
from django.db import OperationalError, connection
from django.test import override_settings
from django.utils import timezone

from project.chaos.flows.neighbours import DEEDS
from sagas import db, transitions, worker
from sagas.errors import SagaError
from sagas.identity import identity
from sagas.operate import anchor
from sagas.run import drain, heartbeat
from sagas.run.recover import Sweep
from sagas.signals import swept
from sagas.testing.post import Post
from sagas.worker import Children, Sweeper
from tests.sagas.flows import flow
from tests.sagas.stage import Known, at_once, begun, lapse, run_of


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test's worker says of itself is forgotten."""
    monkeypatch.setattr(heartbeat, "_queues", None)
    monkeypatch.setattr(heartbeat, "_processes", None)


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
    """The sweep, the beat and the freeing, counted."""
    with (
        patch.object(worker, "Sweep") as sweeps,
        patch.object(worker, "Watch"),
        patch.object(worker, "hand_missed"),
        patch.object(worker, "lift_ended"),
        patch.object(heartbeat, "beat") as beat,
        patch.object(transitions, "free", return_value=0) as free,
        patch.object(worker, "connection") as connection,
        patch.object(swept, "receivers", []),  # the project has some
    ):
        sweeps.return_value.more = False
        yield SimpleNamespace(
            sweep=sweeps.return_value, beat=beat, free=free, connection=connection
        )


def ran(pauses: int, action: Callable[[], object], seconds: float = 1.0) -> Days:
    """Let a thread's loop run for that many rounds."""
    days = Days(pauses)
    with patch.object(worker, "time", days), pytest.raises(Stop):
        worker.forever(lambda: seconds, action)
    return days


def test_each_round_is_followed_by_a_pause_that_varies(work: Any) -> None:
    days = ran(50, work.sweep, 10.0)
    assert work.sweep.call_count == 50
    assert all(8.0 <= pause <= 12.0 for pause in days.pauses)
    assert max(days.pauses) - min(days.pauses) > 1.0


def test_lost_children_are_freed_before_the_sweep_that_sends_their_steps(work: Any) -> None:
    order: list[str] = []
    work.sweep.side_effect = lambda: order.append("sweep")
    children = MagicMock(free_lost=lambda: order.append("free"))
    worker.look_after(work.sweep, children)
    assert order == ["free", "sweep"]


def test_a_full_batch_is_followed_by_the_next_round_without_a_pause(work: Any) -> None:
    """A round is whole: what children held is freed and others have their turn in between."""
    rounds: list[str] = []
    full = iter([True, True, False, False])

    def sweep() -> None:
        work.sweep.more = next(full)
        rounds.append("sweep")

    work.sweep.side_effect = sweep
    children = MagicMock(free_lost=lambda: rounds.append("free"))
    days = ran(2, lambda: worker.look_after(work.sweep, children))
    assert rounds == ["free", "sweep"] * 4
    assert len(days.pauses) == 2


def test_after_a_round_that_failed_there_is_a_pause_whatever_was_left_to_do(work: Any) -> None:
    work.sweep.more = True
    children = MagicMock(free_lost=MagicMock(side_effect=OperationalError("gone")))
    days = ran(2, lambda: worker.look_after(work.sweep, children))
    assert min(days.pauses) > 0.5


def test_batches_are_looked_for_far_less_often_than_runs(work: Any) -> None:
    looked: list[float] = []
    days = Days(31)
    batches = worker.Occasionally(lambda: looked.append(days.now))
    with (
        override_settings(SAGAS={"LEASE_SECONDS": 30}),
        patch.object(worker, "time", days),
        patch("random.uniform", return_value=1.0),
        pytest.raises(Stop),
    ):
        worker.forever(lambda: 1.0, lambda: worker.look_after(work.sweep, MagicMock(), batches))
    assert looked == [1000.0, 1010.0, 1020.0, 1030.0]
    assert work.sweep.call_count == 31


@pytest.fixture
def receiving(work: Any) -> Callable[[Callable[..., object]], None]:
    """Connects receivers of the signal, and none but these receive it."""
    return lambda receiver: swept.connect(receiver, weak=False)


def test_after_each_sweep_others_have_their_turn(work: Any, receiving: Any) -> None:
    order: list[str] = []
    work.sweep.side_effect = lambda: order.append("sweep")
    receiving(lambda **_: order.append("swept"))
    thread = started(MagicMock())["sagas-sweeper"]
    with patch.object(worker, "time", Days(2)), pytest.raises(Stop):
        thread.run()
    assert order == ["sweep", "swept"] * 2


def test_a_receiver_that_raises_is_logged_and_harms_nobody(
    work: Any, receiving: Any, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[str] = []

    def broken(**_: object) -> None:
        raise LookupError("broken")

    receiving(broken)
    receiving(lambda **_: turns.append("turn"))
    ran(3, lambda: worker.look_after(work.sweep, MagicMock()))
    assert (work.sweep.call_count, len(turns)) == (3, 3)
    work.connection.close.assert_not_called()
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 3
    assert "broken" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("deed", [n for n in DEEDS if n not in {"process", "python", "django"}])
def test_a_sweep_relies_on_nothing_that_a_receiver_left(
    known: Known, post: Post, deed: str
) -> None:
    run_id = begun(known(flow(["a"])))

    def look() -> bool:
        db.execute("SELECT pg_sleep(0.01)")  # longer than a limit that was left behind
        at_once(lambda: lapse(run_id))  # its message is lost, so this sweep must send it
        return worker.look_after(Sweep(), MagicMock())

    with patch.object(swept, "receivers", []):
        swept.connect(lambda **_: DEEDS[deed](), weak=False)
        at_once(lambda: ran(_rounds(deed), look))
    assert post.count() == 3
    looks_at = run_of(run_id).wake_at
    assert looks_at is not None
    assert looks_at > timezone.now()


def _rounds(deed: str) -> int:
    """How many it takes: before PostgreSQL 18 what cursors cannot see is seen by a failed sweep."""
    with connection.cursor() as cursor:
        older = cursor.connection.info.server_version < 180_000
    return 3 if older and deed == "settings_unseen" else 2


def test_a_receiver_that_takes_its_time_delays_no_beat(work: Any, receiving: Any) -> None:
    """They are in another thread than the beats, for real."""
    beats, hangs, goes_on = threading.Semaphore(0), threading.Event(), threading.Event()

    def hang(**_: object) -> None:
        hangs.set()
        goes_on.wait(10)
        raise Stop

    def beat() -> None:
        beats.release()
        if goes_on.is_set():
            raise Stop

    receiving(hang)
    work.beat.side_effect = beat
    threads = started(MagicMock())
    quick = {"LEASE_SECONDS": 0.01, "SWEEP_SECONDS": 0.01}
    with override_settings(SAGAS=quick), patch.object(threading, "excepthook", lambda _: None):
        for thread in threads.values():
            threading.Thread.start(thread)
        assert hangs.wait(10)
        assert all(beats.acquire(timeout=10) for _ in range(5))
        goes_on.set()
        for thread in threads.values():
            thread.join(10)
    assert not any(thread.is_alive() for thread in threads.values())


def test_when_a_sweep_fails_the_others_wait_for_the_next(work: Any, receiving: Any) -> None:
    turns: list[str] = []
    receiving(lambda **_: turns.append("turn"))
    work.sweep.side_effect = [OperationalError("gone"), None]
    ran(2, lambda: worker.look_after(work.sweep, MagicMock()))
    assert turns == ["turn"]


def test_the_sweepers_thread_looks_for_batches_too(work: Any) -> None:
    thread = started(batches := MagicMock())["sagas-sweeper"]
    with patch.object(worker, "time", Days(1)), pytest.raises(Stop):
        thread.run()
    batches.assert_called_once_with()


def test_a_thread_outlives_a_database_that_is_away(work: Any) -> None:
    work.sweep.side_effect = OperationalError("gone")
    ran(5, work.sweep)
    assert work.connection.close.call_count == 5


def test_a_thread_outlives_a_connection_that_cannot_even_be_closed(work: Any) -> None:
    work.sweep.side_effect = OperationalError("gone")
    work.connection.close.side_effect = OperationalError("gone, too")
    ran(5, work.sweep)
    assert work.sweep.call_count == 5


def started(batches: Any = None) -> dict[str, threading.Thread]:
    """The threads that a worker starts, not running."""
    threads: dict[str, threading.Thread] = {}
    with (
        patch.object(worker, "resend_lapsed", batches),
        patch.object(worker, "hand_missed"),
        patch.object(
            threading.Thread, "start", lambda thread: threads.update({thread.name: thread})
        ),
    ):
        Sweeper(MagicMock()).start(reading("sagas", "payments"))
    return threads


def reading(*queues: str) -> Any:
    """A worker with four processes that reads these queues."""
    app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=queues)))
    return SimpleNamespace(app=app, pool=SimpleNamespace(_pool=None, num_processes=4))


def test_a_worker_says_what_it_reads_before_it_beats_first() -> None:
    started()
    assert (heartbeat._queues, heartbeat._processes) == (["payments", "sagas"], 4)


def test_the_threads_end_with_their_process() -> None:
    threads = started()
    assert set(threads) == {"sagas-heartbeat", "sagas-sweeper"}
    assert all(thread.daemon for thread in threads.values())


def test_where_anchors_are_kept_a_thread_of_its_own_takes_them() -> None:
    with override_settings(SAGAS={"AUDIT_ANCHOR": "/anchors/anchors.jsonl"}):
        threads = started()
    assert set(threads) == {"sagas-heartbeat", "sagas-sweeper", "sagas-anchor"}


@pytest.mark.parametrize("due", [True, False])
def test_an_anchor_is_taken_if_no_other_worker_has_just_done_so(work: Any, *, due: bool) -> None:
    with (
        patch.object(anchor, "is_due", return_value=due),
        patch.object(anchor, "take") as take,
    ):
        worker.take_anchor()
    assert take.called is due
    work.connection.close.assert_called_once_with()


def test_an_anchor_that_no_store_takes_is_an_error_in_the_log(
    work: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        patch.object(anchor, "is_due", return_value=True),
        patch.object(anchor, "take", side_effect=SagaError("The bucket is away.")),
    ):
        worker.take_anchor()
    assert "The bucket is away." in caplog.text


def test_a_worker_beats_well_before_a_lease_is_half_over_however_long_a_sweep_takes(
    work: Any,
) -> None:
    """The beat has a thread of its own: a silent broker may hold a sweep up for minutes."""
    days, thread = Days(40), started()["sagas-heartbeat"]
    with (
        override_settings(SAGAS={"LEASE_SECONDS": 40}),
        patch.object(worker, "time", days),
        pytest.raises(Stop),
    ):
        thread.run()
    assert work.beat.call_count == 40
    assert max(days.pauses) <= 12.0
    work.sweep.assert_not_called()


def test_it_starts_after_the_pool_whose_processes_are_forks() -> None:
    assert Sweeper.requires == ("celery.worker.components:Pool",)


def test_the_projects_workers_sweep() -> None:
    assert any("sagas.worker:Sweeper" in repr(step) for step in current_app.steps["worker"])


# --- children ------------------------------------------------------------------------------


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def pool_of(*pids: int) -> Any:
    processes = [SimpleNamespace(pid=pid) for pid in pids]
    return SimpleNamespace(pool=SimpleNamespace(_pool=SimpleNamespace(_pool=processes)))


def test_what_a_killed_child_held_is_freed_once(work: Any, child: subprocess.Popen[bytes]) -> None:
    children = Children(pool_of(child.pid))
    children.free_lost()
    work.free.assert_not_called()
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    children.free_lost()
    work.free.assert_called_once_with(identity(), [child.pid])
    assert child.poll() is None or child.returncode == -signal.SIGKILL  # the pool still reaps it


def test_a_child_that_the_pool_has_reaped_and_replaced_is_missed(
    work: Any, child: subprocess.Popen[bytes]
) -> None:
    pool = pool_of(child.pid)
    children = Children(pool)
    children.free_lost()
    child.kill()
    child.wait()
    pool.pool._pool._pool.clear()
    children.free_lost()
    children.free_lost()
    work.free.assert_called_once_with(identity(), [child.pid])


def test_what_could_not_be_freed_is_freed_in_the_next_round(
    work: Any, child: subprocess.Popen[bytes]
) -> None:
    children = Children(pool_of(child.pid))
    children.free_lost()
    child.kill()
    child.wait()
    work.free.side_effect = [OperationalError("gone"), 1]
    with pytest.raises(OperationalError):
        children.free_lost()
    assert children.free_lost() == 1


@pytest.mark.parametrize("pool", [None, SimpleNamespace(_pool=None), SimpleNamespace()])
def test_a_pool_without_processes_has_no_children(work: Any, pool: Any) -> None:
    assert Children(SimpleNamespace(pool=pool)).free_lost() == 0


# --- leaving -------------------------------------------------------------------------------


def test_a_worker_that_is_told_to_stop_drains() -> None:
    signals.worker_shutting_down.send(sender="w", sig="SIGTERM", how="Warm", exitcode=0)
    assert drain.draining()
    drain.reopen()


def test_a_worker_that_ends_hands_back_what_it_holds() -> None:
    with patch.object(heartbeat, "leave") as leave, patch.object(worker, "connection"):
        signals.worker_shutdown.send(sender="w")
        leave.side_effect = OperationalError("gone")
        signals.worker_shutdown.send(sender="w")
    assert leave.call_count == 2

"""What every worker does beside its tasks: beat, free what lost children held, and sweep.

Threads of their own: a timer of Celery's event loop would stand still while the broker is away,
which is just when it is needed; and a sweep that a silent broker holds up must hold up no beat.
Add it with ``app.steps["worker"].add(Sweeper)``.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from celery import bootsteps, signals
from django.db import connection

from sagas import transitions
from sagas.conf import conf
from sagas.identity import identity
from sagas.operate.batch_run import resend_lapsed
from sagas.run import drain, heartbeat
from sagas.run.recover import sweep
from sagas.signals import swept

logger = logging.getLogger("sagas.worker")


class Sweeper(bootsteps.StartStopStep):
    """The bootstep that starts the thread, once the pool's processes have been forked."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Start both threads. They end with the process: while tasks drain, leases go on."""
        drain.reopen()
        heartbeat.describe(worker.app.amqp.queues.consume_from, worker.pool.num_processes)
        children, batches = Children(worker), Occasionally(resend_lapsed)
        for name, pause, action in (
            ("sagas-heartbeat", lambda: conf().LEASE_SECONDS / 4, heartbeat.beat),
            ("sagas-sweeper", lambda: conf().SWEEP_SECONDS, lambda: look_after(children, batches)),
        ):
            threading.Thread(target=forever, args=(pause, action), name=name, daemon=True).start()


@signals.worker_shutting_down.connect
def _finish_and_hand_back(**_: Any) -> None:
    drain.drain()


@signals.worker_shutdown.connect
def _leave(**_: Any) -> None:
    try:
        heartbeat.leave()
        connection.close()
    except Exception as error:  # the database is away: then the leases lapse by themselves
        logger.warning("Leases are left to lapse: %s.", type(error).__name__)


class Children:
    """The processes of a worker's pool, watched: what a lost one held is free at once."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._known: set[int] = set()

    def free_lost(self) -> int:
        """End the leases of children that died since the last look. Gives how many steps."""
        self._known |= set(self._pids())
        lost = {pid for pid in self._known if not _runs(pid)}
        freed = transitions.free(identity(), sorted(lost)) if lost else 0
        self._known -= lost
        if freed:
            logger.warning("Lost %d processes that held %d steps.", len(lost), freed)
        return freed

    def _pids(self) -> list[int]:
        processes = getattr(getattr(self._worker.pool, "_pool", None), "_pool", None) or []
        return [process.pid for process in list(processes) if getattr(process, "pid", None)]


def _runs(pid: int) -> bool:
    """Whether a child lives. It is not reaped here: the pool wants to do that itself."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


class Occasionally:
    """Does something when it is called, but far less often than a sweep: for what can wait."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action
        self._done: float | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        if self._done is None or now - self._done >= conf().LEASE_SECONDS / 3:
            self._done = now
            self._action()


def look_after(children: Children, batches: Callable[[], object] = lambda: None) -> None:
    """One round: what lost children held is freed first, so that it is sent at once.

    Others have their turn last: see ``signals.swept``.

    Args:
        batches: sends those batches of operators that have lost their task.
    """
    children.free_lost()
    sweep()
    batches()
    swept.send_robust(sender=Sweeper)  # which logs what a receiver raises


def forever(pause: Callable[[], float], action: Callable[[], object]) -> None:
    """Do something again and again, at intervals that vary a little, whatever happens."""
    while True:
        try:
            action()
        except Exception as error:  # the thread must outlive whatever happens to the database
            logger.warning(
                "%s: %s; trying again.", threading.current_thread().name, type(error).__name__
            )
            with suppress(Exception):
                connection.close()
        time.sleep(pause() * random.uniform(0.8, 1.2))

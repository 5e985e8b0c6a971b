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
from sagas.errors import SagaError
from sagas.identity import identity
from sagas.operate import anchor
from sagas.operate.automatic import lift_ended
from sagas.operate.batch_run import resend_lapsed
from sagas.operate.signal import hand_missed
from sagas.run import drain, heartbeat, pools
from sagas.run.isolation import isolated
from sagas.run.recover import Sweep
from sagas.run.snapshots import Watch
from sagas.run.undecodable import DropUndecodable
from sagas.signals import swept

logger = logging.getLogger("sagas.worker")


class Sweeper(bootsteps.StartStopStep):
    """The bootstep that starts the thread, once the pool's processes have been forked."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.app.steps["consumer"].add(DropUndecodable)  # before the consumer is made

    def start(self, worker: Any) -> None:
        """Start the threads. They end with the process: while tasks drain, leases go on."""
        drain.reopen()
        pools.prepare(worker.pool)
        queues = list(worker.app.amqp.queues.consume_from)
        heartbeat.describe(queues, worker.pool.num_processes)
        sweep, children = Sweep(queues), Children(worker)
        seldom = Occasionally(
            lift_ended, resend_lapsed, hand_missed, sweep.look_after_unknown, Watch()
        )
        actions: list[tuple[str, Callable[[], float], Callable[[], object]]] = [
            ("sagas-heartbeat", lambda: conf().LEASE_SECONDS / 4, heartbeat.beat),
            (
                "sagas-sweeper",
                lambda: conf().SWEEP_SECONDS,
                lambda: look_after(sweep, children, seldom),
            ),
        ]
        if conf().AUDIT_ANCHOR:  # a thread of its own: stores may be far away
            actions.append(("sagas-anchor", lambda: conf().ANCHOR_SECONDS, take_anchor))
        for name, pause, action in actions:
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


def take_anchor() -> None:
    """Export what audit and events are, unless another worker has just done so."""
    try:
        if anchor.is_due():
            anchor.take(patience=30, wait=False)
    except SagaError as error:
        logger.error("%s", error)
    finally:
        connection.close()  # not used for minutes


class Occasionally:
    """Does something when it is called, but far less often than a sweep: for what can wait."""

    def __init__(self, *actions: Callable[[], object]) -> None:
        self._actions = actions
        self._done: float | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        if self._done is None or now - self._done >= conf().LEASE_SECONDS / 3:
            self._done = now
            for action in self._actions:
                action()


def look_after(
    sweep: Sweep, children: Children, seldom: Callable[[], object] = lambda: None
) -> bool:
    """One round: what lost children held is freed first, so that it is sent at once.

    Others have their turn last: see ``signals.swept``.

    Args:
        seldom: what can wait, such as batches of operators that have lost their task.

    Returns:
        whether there is more to send, so that the next round should follow without a pause.
    """
    children.free_lost()
    sweep()
    seldom()
    with isolated():  # their locks and settings must not last until the next sweep
        swept.send_robust(sender=Sweeper)  # which logs what a receiver raises
    return sweep.more


def forever(pause: Callable[[], float], action: Callable[[], object]) -> None:
    """Do something again and again, at intervals that vary a little, whatever happens.

    An action that gives True is repeated at once.
    """
    while True:
        again = False
        try:
            again = action() is True
        except Exception as error:  # the thread must outlive whatever happens to the database
            logger.warning(
                "%s: %s; trying again.", threading.current_thread().name, type(error).__name__
            )
            with suppress(Exception):
                connection.close()
        if not again:
            time.sleep(pause() * random.uniform(0.8, 1.2))

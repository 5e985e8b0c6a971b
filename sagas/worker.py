"""What every worker does beside its tasks: renew its leases and sweep, in a thread of its own.

A timer of Celery's event loop would stand still while the broker is away, which is just when it
is needed. Add it to your Celery app with ``app.steps["worker"].add(Sweeper)``.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from contextlib import suppress
from typing import Any

from celery import bootsteps
from django.db import connection

from sagas.conf import conf
from sagas.run.recover import renew, sweep

logger = logging.getLogger("sagas.worker")


class Sweeper(bootsteps.StartStopStep):
    """The bootstep that starts the thread, once the pool's processes have been forked."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Start sweeping. It ends with the process: while tasks drain, leases need renewing."""
        threading.Thread(target=_run, args=(worker,), name="sagas-sweeper", daemon=True).start()


def _run(worker: Any) -> None:
    renewed = 0.0
    while True:
        started = time.monotonic()
        try:
            if started - renewed >= conf().LEASE_SECONDS / 4:
                renew(live_pids(worker))
                renewed = started
            sweep()
        except Exception as error:  # the thread must outlive whatever happens to the database
            logger.warning("Sweep: %s; trying again.", type(error).__name__)
            with suppress(Exception):
                connection.close()
        time.sleep(conf().SWEEP_SECONDS * random.uniform(0.8, 1.2))


def live_pids(worker: Any) -> list[int]:
    """The processes that perform this worker's tasks: the pool's children, or this one."""
    processes = getattr(getattr(worker.pool, "_pool", None), "_pool", None)
    children = [p.pid for p in processes or [] if hasattr(p, "pid")]
    return children or [os.getpid()]

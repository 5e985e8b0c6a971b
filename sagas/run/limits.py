"""Time limits of one attempt: first an exception in the step's code, then the end of the process.

The soft limit is a signal, which only a main thread receives: in a thread pool it is the
connectors' own timeouts that end a call. The hard limit is faulthandler's watchdog, a C thread
that needs no GIL: it logs where the step hung and ends the process, whose lease then lapses.
"""

from __future__ import annotations

import faulthandler
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from django.db import connections
from psycopg import Connection
from psycopg.pq import TransactionStatus

from sagas.errors import StepTimeout

_bites_at = 0.0  # when the watchdog ends this process; 0: it sleeps


@contextmanager
def limited(seconds: float, grace: float, ends_at: float = math.inf) -> Iterator[None]:
    """Bound the time of what runs inside. Call ``release`` after the last of a series.

    Args:
        seconds: until ``StepTimeout`` is raised inside.
        ends_at: the monotonic time at which it must be raised in any case: a process may be
            frozen after ``seconds`` was reckoned, and wake when another has taken over.
        grace: from then until the process ends, which it does within twice that time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _time_out)
    _watch(seconds + grace, grace)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            if time.monotonic() >= ends_at:
                raise StepTimeout("the step was held up beyond its time limit")
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # here too the limit may strike
    finally:
        signal.signal(signal.SIGALRM, before)


def release() -> None:
    """Send the watchdog to sleep: this process has nothing more to perform."""
    global _bites_at
    if _bites_at and threading.current_thread() is threading.main_thread():
        faulthandler.cancel_dump_traceback_later()
        _bites_at = 0.0


def _watch(seconds: float, slack: float) -> None:
    """Let the watchdog bite in that time, or up to ``slack`` later.

    Setting it starts a thread and waits for another's end; with some slack it is set once for a
    series of quick steps.
    """
    global _bites_at
    now = time.monotonic()
    if not seconds <= _bites_at - now <= seconds + slack:
        faulthandler.dump_traceback_later(seconds + slack, exit=True, file=2)
        _bites_at = now + seconds + slack


def _time_out(_number: int, _frame: FrameType | None) -> None:
    _cancel_statements()
    raise StepTimeout("the step reached its time limit")


def _cancel_statements() -> None:
    """End in the server what the step's code waits for there, so that it takes no effect later.

    A server process that waits for a lock does not see that its client has gone.
    """
    for wrapper in connections.all(initialized_only=True):
        raw = wrapper.connection
        if (
            isinstance(raw, Connection)
            and raw.pgconn.transaction_status == TransactionStatus.ACTIVE
        ):
            with suppress(Exception):  # a server that is away has nothing to end
                raw.cancel_safe(timeout=_CANCEL_SECONDS)


_CANCEL_SECONDS = 2.0

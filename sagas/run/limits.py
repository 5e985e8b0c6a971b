"""Time limits of one attempt: first an exception in the step's code, then the end of the process.

The soft limit is a signal, which only a main thread receives: in a thread pool it is the
connectors' own timeouts that end a call. The hard limit is faulthandler's watchdog, a C thread
that needs no GIL: it logs where the step hung and ends the process, whose lease then lapses.

To set the watchdog starts a thread, and to cancel it waits for that thread's end: dear where steps
are quick. So a process of a pool leaves it set between messages, and cancels it when it has been
idle for a moment or gets another task.
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
from typing import Any

from billiard import current_process
from celery import signals
from django.db import connections
from psycopg import Connection
from psycopg.pq import TransactionStatus

from sagas.errors import StepTimeout
from sagas.run.canvas import STEP_TASK

_IDLE_SECONDS = 1.0

_bites_at = 0.0  # when the watchdog ends this process; 0: it sleeps
_pooled = False  # this process is a pool's: if it is idle and ends, nothing is lost
_before: Any = None  # who had the alarm before ...
_borrowed = False  # ... this module took it, to be given back by ``release``
_limits = False  # the alarm tells that a step's time is up ...
_idles = False  # ... or that no step followed the last


@contextmanager
def limited(seconds: float, grace: float, ends_at: float = math.inf) -> Iterator[None]:
    """Bound the time of what runs inside. Call ``release`` after the last of a series.

    Args:
        seconds: until ``StepTimeout`` is raised inside.
        ends_at: the monotonic time at which it must be raised in any case: a process may be
            frozen after ``seconds`` was reckoned, and wake when another has taken over.
        grace: from then until the process ends, which it does within twice that time.
    """
    global _limits
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _borrow()
    _watch(seconds + grace, grace)
    try:
        try:
            _limits = True
            signal.setitimer(signal.ITIMER_REAL, seconds)
            if time.monotonic() >= ends_at:
                raise StepTimeout("the step was held up beyond its time limit")
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # here too the limit may strike
    finally:
        _limits = False


def release() -> None:
    """Send the watchdog to sleep: this process has nothing more to perform."""
    global _bites_at, _borrowed
    if threading.current_thread() is not threading.main_thread():
        return
    if _borrowed:
        _no_idle_alarm()
        signal.signal(signal.SIGALRM, _before)
        _borrowed = False
    if _bites_at:
        faulthandler.cancel_dump_traceback_later()
        _bites_at = 0.0


def release_when_idle() -> None:
    """In a pool, release unless a step follows within a moment; elsewhere release now."""
    global _idles
    if not _pooled or not _borrowed or _bites_at - time.monotonic() < 2 * _IDLE_SECONDS:
        release()
    elif threading.current_thread() is threading.main_thread():
        _idles = True
        signal.setitimer(signal.ITIMER_REAL, _IDLE_SECONDS)


def _borrow() -> None:
    """Take the alarm, which a step's code may have taken since the last step."""
    global _before, _borrowed
    _no_idle_alarm()
    found = signal.signal(signal.SIGALRM, _ring)
    if not _borrowed:
        _before, _borrowed = found, True


def _no_idle_alarm() -> None:
    """Call it off. One that rings right now must not have another meaning by then."""
    global _idles
    if _idles:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _idles = False


def _ring(_number: int, _frame: FrameType | None) -> None:
    if _idles:
        release()
    elif _limits:
        _cancel_statements()
        raise StepTimeout("the step reached its time limit")


@signals.worker_process_init.connect
def _in_a_pool(**_: Any) -> None:
    global _pooled
    _pooled = current_process().name != "MainProcess"  # which it is in the pool named solo


@signals.task_prerun.connect
def _release_for_others(sender: Any = None, **_: Any) -> None:
    """What is not a step has no time limit of ours, and may use the alarm itself."""
    if _borrowed and getattr(sender, "name", None) not in STEP_TASK.values():
        release()


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

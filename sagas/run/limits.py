"""Time limits of one attempt: first an exception in the step's code, then the end of the process.

The soft limit is a signal, which only a main thread receives: in a thread pool it is the
connectors' own timeouts that end a call. The hard limit is faulthandler's watchdog, a C thread
that needs no GIL: it logs where the step hung and ends the process, whose lease then lapses.
"""

from __future__ import annotations

import faulthandler
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sagas.errors import StepTimeout


@contextmanager
def limited(seconds: float, grace: float) -> Iterator[None]:
    """Bound the time of what runs inside.

    Args:
        seconds: until ``StepTimeout`` is raised inside.
        grace: from then until the process ends.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _time_out)
    faulthandler.dump_traceback_later(seconds + grace, exit=True, file=2)
    # Two finallys: the limit may strike in the first, and the watchdog must be called off even
    # then, or it would end the process in the middle of a later step.
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _time_out(_number: int, _frame: FrameType | None) -> None:
    raise StepTimeout("the step reached its time limit")

"""Publishing with a circuit breaker, one for each process: no two waits for a broker that is away.

A publish to a silent or blocked broker costs its whole timeout, for every request and every step.
After one that failed, this process publishes nothing for some seconds; then one caller tries, and
the rest follow if it succeeds. What was not sent is sent by a worker's sweep.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from amqp.exceptions import MessageNacked
from celery import signals
from kombu.exceptions import OperationalError, SerializationError

logger = logging.getLogger("sagas.publishing")

OPEN_SECONDS = 5.0  #: how long a process publishes nothing after a publish that failed

#: What concerns one message or one queue: others may still be published.
_OF_ONE_MESSAGE = (LookupError, MessageNacked, SerializationError, TypeError, ValueError)


class Breaker:
    """A circuit breaker: closed it admits everybody, open nobody, and then one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Close it. In a forked child too, where nobody would release a lock that was held."""
        self._lock = threading.Lock()
        self._open_until: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether the last publish failed, and none has succeeded since."""
        return self._open_until is not None

    def admits(self) -> bool:
        """Whether the caller may publish now. If it is open, the one who may is the probe."""
        if not self.is_open:
            return True
        with self._lock:
            if self._open_until is None:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + OPEN_SECONDS  # for everybody else
            return True

    def failed(self) -> None:
        """Open it, or keep it open."""
        with self._lock:
            self._open_until = self._clock() + OPEN_SECONDS

    def succeeded(self) -> None:
        """Close it."""
        if self.is_open:
            with self._lock:
                self._open_until = None
            logger.info("The broker takes messages again.")


breaker = Breaker()
os.register_at_fork(after_in_child=breaker.reset)


def published(publish: Callable[[], object], subject: str) -> bool:
    """Publish, unless the broker took nothing a moment ago. False: a sweep will do it.

    Args:
        subject: what the message is for, for the log.
    """
    if not breaker.admits():
        return False
    try:
        publish()
    except Exception as error:  # whatever the broker's client raises: the record has decided
        logger.warning(
            "%s: no message sent (%s); a sweep will send it.", subject, type(error).__name__
        )
        if not isinstance(error, _OF_ONE_MESSAGE) and not isinstance(
            error.__cause__, _OF_ONE_MESSAGE
        ):
            breaker.failed()
        return False
    breaker.succeeded()
    return True


@signals.task_failure.connect
def _notice(exception: BaseException | None = None, **_: Any) -> None:
    """Celery publishes a chain's next link itself, when the task's body is done."""
    if isinstance(exception, OperationalError):
        breaker.failed()

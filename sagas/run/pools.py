"""What Celery's pools of workers do not give, said when a worker starts.

In ``prefork``, the default, a step has a process of its own while it runs: it can be interrupted
and ended, and its loss is noticed at once.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals
from django.db import connections

logger = logging.getLogger("sagas.pools")

_NO_LIMITS = (
    "No time limit ends a step, neither the step's own nor Celery's: only the timeouts of what it "
    "calls do, and a step that hangs keeps its place for ever."
)
_ONE_PROCESS = (
    "All steps share one process: what ends it ends them all, and others take them over only when "
    "its lease is over."
)
_GREEN = (
    _NO_LIMITS,
    _ONE_PROCESS,
    "A step that does not wait by way of patched calls holds up all others, and the heartbeat.",
    "Each message opens a database connection of its own, which is closed after it.",
)
_LACKS = {
    "prefork": (),
    "solo": (
        "The hard time limit of a step ends the whole worker, and others take over what it held "
        "only when its lease is over.",
        "While a step runs this worker reads no messages and answers no remote control, and on "
        "RabbitMQ no heartbeat.",
    ),
    "thread": (_NO_LIMITS, _ONE_PROCESS),
    "gevent": _GREEN,
    "eventlet": _GREEN,
}
_UNKNOWN = ("This pool was never tried: time limits and the loss of a process may go unnoticed.",)


def prepare(pool: Any) -> None:
    """Say what a worker's pool does not give, and mend what can be mended."""
    name = type(pool).__module__.rpartition(".")[2]
    for lack in _LACKS.get(name, _UNKNOWN):
        logger.warning("The pool is %s, not prefork. %s", name, lack)
    if name in ("gevent", "eventlet"):
        # A connection belongs to its greenlet, which ends with the task; nobody could use it again.
        signals.task_postrun.connect(_close_connections)


def _close_connections(**_: Any) -> None:
    connections.close_all()

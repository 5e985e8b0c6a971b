"""How many messages wait in a queue: asked only when something seems to be lost."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger("sagas.depth")


def depths(queues: Iterable[str]) -> dict[str, int] | None:
    """The messages that wait in each of these queues; None if the broker does not say.

    A broker that is away is no reason to hold back: what cannot be sent is looked at again soon.
    """
    try:
        pool: Any = current_app.pool
        with pool.acquire(block=True, timeout=1) as connection:
            return {name: _waiting(connection, name) for name in queues}
    except (OperationalError, OSError) as error:
        logger.info("The broker does not say how long its queues are: %s.", type(error).__name__)
        return None


def _waiting(connection: Any, queue: str) -> int:
    channel = connection.default_channel
    if hasattr(channel, "_size"):  # of a virtual transport; its declare forgets the key's prefix
        return int(channel._size(queue))
    try:
        return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors:  # there is no such queue, or it is empty
        return 0

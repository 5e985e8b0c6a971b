"""Queues: how much work waits for a worker, since when, and how many messages the broker has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache

from sagas.operate.standing import Standing
from sagas.run.depth import depths
from sagas.run.queues import routed_queues

logger = logging.getLogger("sagas.overview")

_KEPT = 5  # seconds
_KEY = "sagas:depths"


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue.

    Attributes:
        due: the steps that a worker could take now.
        oldest: since when the one that waits longest could be taken.
        messages: as the broker says; None if it does not.
    """

    name: str
    due: int
    oldest: datetime | None
    messages: int | None


def queues(at: Standing) -> list[Queue]:
    """Every queue that the settings or the steps know, by name."""
    due: dict[str, int] = dict.fromkeys(routed_queues(), 0)
    oldest: dict[str, datetime] = {}
    for name, group in at.waiting():
        due[name] = due.get(name, 0) + group.count
        if group.oldest is not None:
            oldest[name] = min(oldest.get(name, group.oldest), group.oldest)
    messages = _messages(sorted(due))
    return [Queue(n, due[n], oldest.get(n), messages.get(n)) for n in sorted(due)]


def _messages(names: Sequence[str]) -> dict[str, int]:
    """Asked of the broker at most every five seconds; also while it is away, which takes time."""
    try:
        kept = cache.get(_KEY)
        if kept is None or not set(names) <= set(kept["asked"]):
            kept = {"asked": list(names), "depths": depths(names) or {}}
            cache.set(_KEY, kept, _KEPT)
        return dict(kept["depths"])
    except Exception as error:  # whatever the clients of cache and broker raise: it is only shown
        logger.warning("No queue's length is known: %s", type(error).__name__)
        return {}

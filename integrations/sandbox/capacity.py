"""How much a stand-in can do at once: beyond it requests queue, as they do at a real partner."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capacity:
    """So many requests are worked on at once, each for so many seconds."""

    slots: int
    seconds: float

    def __post_init__(self) -> None:
        if self.slots < 1 or self.seconds < 0:
            raise ValueError("a service works on at least one request at once, in 0 s or more")


class Floor:
    """Where requests wait for their turn; a service of which nothing was said is never busy."""

    def __init__(self) -> None:
        self._capacities: dict[str, Capacity] = {}
        self._busy: Counter[str] = Counter()
        self._changed = threading.Condition()

    def limit(self, service: str, capacity: Capacity) -> None:
        """From now on `service` has this capacity; what is being worked on goes on."""
        with self._changed:
            self._capacities[service] = capacity
            self._changed.notify_all()

    def clear(self) -> None:
        """No service is ever busy."""
        with self._changed:
            self._capacities.clear()
            self._changed.notify_all()

    @contextmanager
    def working(self, service: str) -> Iterator[None]:
        """Wait for a turn, take the time that a request takes, then do what is in the block."""
        capacity = self._begin(service)
        try:
            if capacity is not None:
                time.sleep(capacity.seconds)
            yield
        finally:
            self._end(service)

    def _begin(self, service: str) -> Capacity | None:
        with self._changed:
            self._changed.wait_for(lambda: self._free(service))
            self._busy[service] += 1
            return self._capacities.get(service)

    def _end(self, service: str) -> None:
        with self._changed:
            self._busy[service] -= 1
            self._changed.notify_all()

    def _free(self, service: str) -> bool:
        capacity = self._capacities.get(service)
        return capacity is None or self._busy[service] < capacity.slots

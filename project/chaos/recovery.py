"""How long a lost attempt waits until it is taken over: for the engine, and for the queue.

The engine is charged with all of it, except for two things that it can do nothing about: the time
that the message which led to the takeover waited for a free process, and the time in which nobody
could have served it, because the database, the broker or every worker was away, or an operator had
paused the run.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psutil
import psycopg

from project.chaos.messages import Messages
from project.chaos.proxy import Fault
from project.chaos.world import LEASE, SWEEP, WORKERS, ChaosWorld

BOUND = 3 * (LEASE + SWEEP)  #: seconds that the engine may need in 99 of 100 cases
_LIVING = """
SELECT pid FROM sagas_worker
WHERE lease_until > now() AND NOT current_setting('transaction_read_only')::bool"""

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Takeover:
    """An attempt that was lost and then taken over. Times are seconds since the epoch.

    Attributes:
        claimed_at: when the lost attempt was claimed, which is not after it was lost.
        at: when it was taken over.
        worker: by whom.
        held: when the run was paused.
    """

    run: str
    step: str
    claimed_at: float
    at: float
    worker: str
    held: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds from the claim of a lost attempt until it was taken over, and what they went to."""

    engine: float
    queue: float
    outage: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.engine + self.queue + self.outage


def waits(
    takeovers: Iterable[Takeover], messages: Messages, outages: Sequence[Interval]
) -> list[Wait]:
    """What each takeover waited for."""
    return [_wait(takeover, messages, outages) for takeover in takeovers]


def _wait(takeover: Takeover, messages: Messages, outages: Sequence[Interval]) -> Wait:
    begins, ends = takeover.claimed_at, takeover.at
    message = messages.that_led_to(takeover.run, takeover.step, takeover.worker, ends)
    served = [(begins, ends)]
    queue = 0.0
    # The one that led to it may be an old copy that overtook in a long queue what was sent for it.
    taken = message.at if message is not None else ends
    sent = messages.waiting(takeover.run, begins, taken)
    if sent is not None:
        queue = taken - sent
        served = [(begins, sent), (taken, ends)]
    away = _union([*outages, *takeover.held])
    outage = sum(_common(part, interval) for part in served for interval in away)
    return Wait(max(0.0, ends - begins - queue - outage), queue, outage)


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    found: list[Interval] = []
    for begins, ends in sorted(intervals):
        if found and begins <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends))
        else:
            found.append((begins, ends))
    return found


def _common(one: Interval, other: Interval) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def too_slow(found: Sequence[Wait]) -> list[Wait]:
    """Those that took the engine longer than ``BOUND``, if they are more than one in a hundred."""
    slow = [wait for wait in found if wait.engine > BOUND]
    return slow if len(slow) > max(1, len(found) // 100) else []


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """The median, the 99th percentile and the largest; empty if there are none."""
    found = sorted(values)
    if not found:
        return {}
    last = len(found) - 1
    return {"p50": found[len(found) // 2], "p99": found[int(last * 0.99)], "max": found[last]}


@dataclass(slots=True)
class Outages:
    """The times in which nobody could have served a run, found by looking again and again."""

    found: list[Interval] = field(default_factory=list)
    _looked: float = field(default_factory=time.time)
    _away: bool = False

    def look(self, world: ChaosWorld) -> None:
        """Look now: what was away before or is away now was so in between."""
        away, before = not _serves(world), self._looked
        self._looked = time.time()
        if away or self._away:
            self.found.append((before, self._looked))
        self._away = away


def _serves(world: ChaosWorld) -> bool:
    """Whether the database and the broker answer, and a worker reaches both."""
    try:
        with world.connect() as database:
            living = {pid for (pid,) in database.execute(_LIVING).fetchall()}
        with socket.create_connection(world.broker_address, timeout=2):
            pass
    except (psycopg.Error, OSError):
        return False
    return any(_works(world, name, living) for name in WORKERS)


def _works(world: ChaosWorld, name: str, living: set[object]) -> bool:
    edges = (world.edge(name, server) for server in ("postgres", "broker"))
    if any(edge.fault is not Fault.NONE for edge in edges):
        return False
    try:
        main = world.main_process(name)
        return main is not None and main.pid in living and main.status() != psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False

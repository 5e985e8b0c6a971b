"""Watches a world under load: what its processes, its database and its queue are at."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import psutil
import psycopg
from redis import Redis

from bench.processes import Costs
from project.queues import WORKER_GROUPS

_PAUSE = 0.5
_QUESTION = """
SELECT (SELECT count(*) FROM sagas_run WHERE finished_at IS NULL),
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT setting::int FROM pg_settings WHERE name = 'max_connections'),
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float
          FROM sagas_run WHERE finished_at IS NULL)
"""


@dataclass(frozen=True)
class Look:
    """What was seen at a moment, seconds since the epoch; `cores` since the look before.

    `waiting`: messages that no worker has taken, by group of workers. `oldest`: the age in seconds
    of the oldest run that is not finished.
    """

    at: float
    machine: float
    cores: Mapping[str, float]
    waiting: Mapping[str, int]
    unfinished: int
    connections: float
    oldest: float


class Watch:
    """Looks every half second while its block lasts; then `looks` has what it saw.

    `environment` names the engines, `roots` the processes at the roots of each group.
    """

    def __init__(self, environment: Mapping[str, str], roots: Mapping[str, list[int]]) -> None:
        self.looks: list[Look] = []
        self._environment = environment
        self._costs = Costs(roots)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look_on(self) -> None:
        with (
            suppress(psutil.NoSuchProcess),  # the users have left: it is over
            psycopg.connect(self._environment["DATABASE_URL"], autocommit=True) as connection,
            Redis.from_url(self._environment["BROKER_URL"]) as broker,
        ):
            psutil.cpu_percent()  # the first one says nothing
            before, spent = time.time(), self._costs.cpu()
            while not self._over.wait(_PAUSE):
                now, used = time.time(), self._costs.cpu()
                cores = {name: (used[name] - spent[name]) / (now - before) for name in used}
                self.looks.append(self._look(connection, broker, now, cores))
                before, spent = now, used

    def _look(
        self,
        connection: psycopg.Connection[Any],
        broker: Redis,
        now: float,
        cores: dict[str, float],
    ) -> Look:
        row = connection.execute(_QUESTION).fetchone()
        assert row is not None
        unfinished, connections, most, oldest = row
        machine = psutil.cpu_percent() / 100
        waiting = {
            group: sum(self._length(broker, queue) for queue in queues)
            for group, queues in WORKER_GROUPS.items()
        }
        return Look(now, machine, cores, waiting, unfinished, connections / most, oldest)

    def _length(self, broker: Redis, queue: str) -> int:
        length = broker.llen(f"{self._environment['REDIS_PREFIX']}{queue}")
        assert isinstance(length, int)  # and no promise of one
        return length

"""Where it is measured: engines, stand-ins for partners and real workers, all of our own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from redis import Redis

from bench.place import Place
from integrations.sandbox.process import RunningSandbox
from project.environment import VAR
from project.queues import DEFAULT_QUEUE
from project.world import World

_SAGAS = {"SWEEP_SECONDS": 0.5, "LEASE_SECONDS": 10}


class NotOver(Exception):
    """Runs did not end in the time they were given."""


class Stage:
    """A world for one measurement: a context manager that ends all of it.

    Args:
        resilience: what INTEGRATIONS_RESILIENCE says, by partner.
        sagas: settings of the engine beside the defaults.
    """

    def __init__(
        self, resilience: Mapping[str, Any], sagas: Mapping[str, Any] | None = None
    ) -> None:
        self._resilience = resilience
        self._sagas = {**_SAGAS, **(sagas or {})}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with self._undo:
            place = self._undo.enter_context(Place(_directory()))
            given = place.environment("partners", place.database("partners")) | {
                "DJANGO_SETTINGS_MODULE": "bench.partners.settings",
                "SAGAS": json.dumps(self._sagas),
                "INTEGRATIONS_RESILIENCE": json.dumps(self._resilience),
            }
            environment = {k: v for k, v in given.items() if not _is_a_partners(k)}
            silent = self._undo.enter_context(Path(os.devnull).open("w"))
            world = World(place.directory / "world", environment, silent)
            self.world = self._undo.enter_context(world)
            self.partners: RunningSandbox = self.world.partners()
            self._undo.enter_context(_environment(self.world.environment))
            self.world.manage("migrate", "--verbosity=0")
            self._redis = Redis.from_url(self.world.environment["REDIS_URL"], decode_responses=True)
            self._undo.callback(self._redis.close)
            self._undo = self._undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def workers(self, count: int, processes: int) -> None:
        """Start so many workers of so many processes, and wait until each consumes its queue."""
        names = {f"worker-{number}": [DEFAULT_QUEUE] for number in range(count)}
        self.world.workers(names, processes)
        self.until(lambda: self.ask("SELECT count(*) FROM sagas_worker")[0][0] >= count, 60)

    def start(self, saga: str, runs: int) -> None:
        """Start so many runs of a saga."""
        self.world.manage("shell", "--verbosity=0", "--command", _START.format(saga, runs))

    def finished(self, saga: str) -> int:
        """How many runs of a saga have ended."""
        return int(self.ask(_FINISHED, saga)[0][0])

    def until_finished(self, saga: str, runs: int, within: float) -> float:
        """Wait until so many runs of a saga have ended; give the seconds waited.

        Raises:
            NotOver: they did not within so many seconds.
        """
        return self.until(lambda: self.finished(saga) >= runs, within)

    def until(self, true: Any, within: float) -> float:
        """Wait for something to be true; give the seconds waited. Raises NotOver."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > within:
                raise NotOver(f"waited for {within:g} s in vain")
            time.sleep(0.05)
        return time.monotonic() - began

    def arrived(self, service: str, since: float = 0.0) -> list[float]:
        """When a partner was called, in seconds of its clock."""
        found = self.partners.ledger.arrivals()
        return [a.at for a in found if a.service == service and a.at >= since]

    def shared(self, key: str) -> dict[str, str]:
        """A hash of the state that all workers share, as it is in Redis."""
        name = f"{self.world.environment['REDIS_PREFIX']}partners:{key}"
        found: dict[str, str] = self._redis.hgetall(name)  # type: ignore[assignment]
        return found

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database answers."""
        import psycopg

        with psycopg.connect(self.world.environment["DATABASE_URL"], autocommit=True) as connection:
            return connection.execute(sql.encode(), values).fetchall()


def _directory() -> Path:
    return VAR / f"bench-partners-{uuid4().hex[:8]}"


def _is_a_partners(variable: str) -> bool:
    return variable.startswith("INTEGRATIONS_") and variable != "INTEGRATIONS_RESILIENCE"


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


_FINISHED = "SELECT count(*) FROM sagas_run WHERE saga = %s AND finished_at IS NOT NULL"
_START = """
from uuid import uuid4
from sagas.api import start
from sagas.define import registry
saga = registry.get({!r})
for number in range({}):
    start(saga, {{}}, key=f"{{uuid4()}}")
"""

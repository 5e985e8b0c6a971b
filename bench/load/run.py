"""One run of the load: a world is started, used and watched, and left to finish its work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.load.requests import Request, read, under_way
from bench.load.saturation import Sample
from bench.load.watch import Look, Watch
from bench.place import Place
from project.environment import VAR
from project.queues import WORKER_GROUPS
from project.world import World

PROCESSES = 2
"""Processes of each group of workers."""
THREADS = 8
"""Threads of the web server's one process."""
_DRAIN = 30.0
_USERS = Path(__file__).with_name("users.py")


class Failed(Exception):
    """The load could not be run; the message says what the users' process said."""


@dataclass(frozen=True)
class Options:
    """How many users at once, for how many seconds."""

    users: int
    seconds: int


@dataclass(frozen=True)
class Outcome:
    """What was measured. `drained`: seconds from the last request until all runs were over."""

    requests: list[Request]
    looks: list[Look]
    began: float
    runs: Mapping[str, int]
    drained: float | None

    def samples(self) -> list[Sample]:
        """How much of each resource was in use, look by look."""
        times = [self.began, *(look.at for look in self.looks)]
        return [
            Sample(look.at - self.began, self._shares(look, before))
            for before, look in zip(times, self.looks, strict=False)
        ]

    def _shares(self, look: Look, before: float) -> dict[str, float]:
        # Where as many messages wait as there are processes, none of these is free.
        return {
            "the machine's CPU": look.machine,
            "the web server's interpreter (one core)": look.cores["web"],
            f"the web server's {THREADS} threads": (
                under_way(self.requests, before, look.at) / THREADS
            ),
            **{
                f"the worker processes of {group!r}": min(1.0, waiting / PROCESSES)
                for group, waiting in look.waiting.items()
            },
            "Redis (one core)": look.cores.get("redis", 0.0),
            "PostgreSQL's connections": look.connections,
        }


def run(asked: Options, folder: Path) -> Outcome:
    """Load a world of its own. Raises Failed."""
    with Place(VAR / "load") as place, open(os.devnull, "w") as silence:
        environment = place.environment("load", place.database("load"))
        environment |= {
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "SAGAS": json.dumps({"API_WRITES_PER_MINUTE": 10**9}),
        }
        with World(folder, environment, silence) as world:
            sandbox = world.partners()
            world.manage("migrate", "--verbosity=0")
            address, token = world.web(0), _token(world)
            world.workers(processes=PROCESSES)
            roots = {
                "web": [world.pid("web")],
                "workers": [world.pid(name) for name in WORKER_GROUPS],
                "partners": [sandbox.pid],
                **{name: [pid] for name, pid in place.engines().items()},
            }
            return _loaded(asked, folder, address, token, environment, roots)


def _token(world: World) -> str:
    world.environment["DJANGO_SUPERUSER_PASSWORD"] = os.urandom(16).hex()
    world.manage("createsuperuser", "--noinput", "--username=load", "--email=load@example.com")
    return world.manage("sagas", "token", "load").strip().splitlines()[-1]


def _loaded(
    asked: Options,
    folder: Path,
    address: str,
    token: str,
    environment: Mapping[str, str],
    roots: Mapping[str, list[int]],
) -> Outcome:
    records = folder / "requests.jsonl"
    records.touch()
    began = time.time()
    told = {"LOAD_RECORDS": str(records), "LOAD_TOKEN": token}
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "locust", "--locustfile", str(_USERS), "--headless"),
            *("--host", address, "--users", str(asked.users), "--spawn-rate", str(asked.users)),
            *("--run-time", f"{asked.seconds}s", "--stop-timeout", "5"),
            *("--only-summary", "--loglevel", "ERROR", "--exit-code-on-error", "0"),
        ],
        env={**os.environ, **told},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            with Watch(environment, {**roots, "users": [process.pid]}) as watch:
                _, said = process.communicate(timeout=asked.seconds + 60)
        finally:
            process.kill()
    requests = read(records)
    if process.returncode or not requests:
        raise Failed(f"no request was made; the users' process said: {said.strip()[-2000:]}")
    ended = max(request.ended for request in requests)
    drained, runs = _finished(environment["DATABASE_URL"], ended)
    return Outcome(requests, watch.looks, began, runs, drained)


def _finished(database: str, since: float) -> tuple[float | None, dict[str, int]]:
    """Wait until all runs are over; give after how long, and how many ended in which status."""
    with psycopg.connect(database, autocommit=True) as connection:
        while True:
            rows = connection.execute("SELECT status, count(*) FROM sagas_run GROUP BY status")
            runs = {str(status): int(count) for status, count in rows}
            if not runs.keys() & {"pending", "running", "compensating"}:
                return max(0.0, time.time() - since), runs
            if time.time() - since > _DRAIN:
                return None, runs
            time.sleep(0.1)

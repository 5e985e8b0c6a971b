"""Where it is measured: one PostgreSQL and one Redis for all, with databases of our own in them."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql
from redis import Redis

from bench.processes import engine_root
from project.engines import Engines
from project.environment import VAR
from project.supervisor import Supervisor

#: An embedded PostgreSQL of its own, on the disk that the project's is on.
DIRECTORY = VAR / "bench"


class Unsuitable(Exception):
    """The engines that the environment names cannot be measured on."""


class Place:
    """The engines: those that the environment names, else embedded ones. A context manager.

    On leaving, every database and every Redis key that was made here is gone.
    """

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self.directory = directory
        self._name = f"bench_{uuid4().hex[:12]}"
        self._environment = dict(os.environ)
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with self._undo:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
            engines = Engines(self.directory, self._environment, Supervisor())
            self._undo.callback(engines.stop)
            self._environment |= engines.addresses
            _refuse_other_brokers(self._environment["BROKER_URL"])
            self._undo.callback(self._forget_keys)
            self._undo = self._undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def database(self, contender: str) -> str:
        """Make an empty database for a contender, gone on leaving; give its address."""
        name = f"{self._name}_{contender}"
        self._administer("CREATE DATABASE {}", name)
        self._undo.callback(self._administer, "DROP DATABASE {} WITH (FORCE)", name)
        return urlsplit(self._environment["DATABASE_URL"])._replace(path=f"/{name}").geturl()

    def environment(self, contender: str, database: str) -> dict[str, str]:
        """The environment for the processes of a contender: its database and its keys in Redis."""
        return {
            **self._environment,
            "DATABASE_URL": database,
            "REDIS_PREFIX": f"{self._name}:{contender}:",
            "DJANGO_SETTINGS_MODULE": "bench.settings",
        }

    def engines(self) -> dict[str, int]:
        """The root process of each engine that runs on this machine."""
        with (
            psycopg.connect(self._environment["DATABASE_URL"]) as connection,
            Redis.from_url(self._environment["BROKER_URL"]) as client,
        ):
            pids = {
                "postgres": connection.info.backend_pid,
                "redis": int(client.info("server")["process_id"]),
            }
            found = {name: engine_root(pid, name) for name, pid in pids.items()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def versions(self) -> dict[str, str]:
        """The engines' versions."""
        with psycopg.connect(self._environment["DATABASE_URL"]) as connection:
            postgres = connection.info.parameter_status("server_version") or "unknown"
        with Redis.from_url(self._environment["BROKER_URL"]) as client:
            return {"postgres": postgres, "redis": str(client.info("server")["redis_version"])}

    def _administer(self, statement: str, name: str) -> None:
        with psycopg.connect(self._environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def _forget_keys(self) -> None:
        for name in ("BROKER_URL", "REDIS_URL"):
            with Redis.from_url(self._environment[name]) as client:
                for key in client.scan_iter(f"{self._name}:*", count=1000):
                    client.delete(key)


def _refuse_other_brokers(url: str) -> None:
    if not url.startswith(("redis://", "rediss://")):
        raise Unsuitable(
            "All are measured on one Redis, and BROKER_URL names something else; unset it, or name "
            "a Redis."
        )

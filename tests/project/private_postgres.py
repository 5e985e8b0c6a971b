"""A PostgreSQL of a test's own: to be starved of connections or of its disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from project.engines.postgres import Postgres
from tests.project.processes import ROOT, until


class PrivatePostgres:
    """One server at one address, as often as it is started."""

    def __init__(self, directory: Path, options: dict[str, str]) -> None:
        self._engine = Postgres(directory)
        self._options = [f"--{name}={value}" for name, value in options.items()]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address; the same while it is down."""
        return self._engine.url

    def start(self) -> None:
        """Start it; return once it answers."""
        self._process = subprocess.Popen(
            [*self._engine.command, *self._options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self._engine.ready, "PostgreSQL answers")

    def lives(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it at once, as a crash does."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: immediate
            self._process.wait()
            self._process = None
        self._engine.forget()

    def migrate(self) -> None:
        """Make its tables."""
        command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        named = {"DATABASE_URL": self.url}
        subprocess.run(command, cwd=ROOT, env=os.environ | named, check=True, timeout=300)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a statement gives, on a connection of its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()


@contextmanager
def private_postgres(directory: Path, **options: str) -> Iterator[PrivatePostgres]:
    """A running PostgreSQL with the tables, gone after the block."""
    server = PrivatePostgres(directory, options)
    try:
        server.start()
        server.migrate()
        yield server
    finally:
        server.stop()

"""A PgBouncer of a test's own in front of the tests' PostgreSQL, in transaction mode."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from project.engines import unprivileged
from tests.project.processes import until


class PgBouncer:
    """One pooler with a few server connections for each database."""

    def __init__(self, directory: Path, database_url: str, connections: int) -> None:
        self._named = conninfo_to_dict(database_url)
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        configuration = directory / "pgbouncer.ini"
        configuration.write_text("\n".join(self._configuration(connections)))
        program = shutil.which("pgbouncer", path="/usr/sbin:" + os.environ.get("PATH", os.defpath))
        assert program is not None, "_demand_program has looked"
        self._process = subprocess.Popen(
            unprivileged.command([program, "--quiet", str(configuration)], configuration),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self) -> None:
        """Until it takes connections: whether there is the database that they ask for or not."""
        until(self._answers, "PgBouncer answers")

    def url(self, database: str) -> str:
        """The address of a database by way of it."""
        return f"postgresql://{self._user}@127.0.0.1:{self.port}/{quote(database)}"

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    @property
    def _user(self) -> str:
        return str(self._named.get("user", "postgres"))

    def _configuration(self, connections: int) -> list[str]:
        known = ("host", "port", "user", "password")
        server = " ".join(f"{name}='{self._named[name]}'" for name in known if name in self._named)
        return [
            "[databases]",
            f"* = {server}",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = any",
            "pool_mode = transaction",
            f"default_pool_size = {connections}",
            "max_client_conn = 200",
            "ignore_startup_parameters = extra_float_digits",
            "",
        ]

    def _answers(self) -> bool:
        assert self._process.poll() is None, "PgBouncer ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
        except OSError:
            return False
        return True


@contextmanager
def pgbouncer(directory: Path, database_url: str, connections: int = 2) -> Iterator[PgBouncer]:
    """A running PgBouncer in `directory`, gone after the block; skips where there is none."""
    if shutil.which("pgbouncer", path="/usr/sbin:" + os.environ.get("PATH", os.defpath)) is None:
        reason = "PgBouncer is not installed (apt-get install pgbouncer)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    directory.mkdir()
    pooler = PgBouncer(directory, database_url, connections)
    try:
        pooler.wait()
        yield pooler
    finally:
        pooler.stop()

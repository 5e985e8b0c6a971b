"""A Redis of a test's own: to be frozen, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from redis import Redis as Client

from project.engines.redis import Redis
from tests.project.processes import until


class PrivateRedis:
    """One server at one address, as often as it is started."""

    def __init__(self, directory: Path) -> None:
        self._engine = Redis(directory)
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        """The address of a database; the same while it is down."""
        return self._engine.url(database)

    @property
    def port(self) -> int:
        """Where it listens on loopback."""
        port = urlsplit(self.url()).port
        assert port is not None, "it listens on a port"
        return port

    def start(self) -> None:
        """Start it, with what its log kept; return once it answers."""
        self._process = subprocess.Popen(self._engine.command, stdout=subprocess.DEVNULL)
        until(self._engine.ready, "Redis answers")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it answer nothing while its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def client(self) -> Client:
        """A client; to be closed by the caller."""
        return Client.from_url(self.url())

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it does not run"
        os.kill(self._process.pid, number)


@contextmanager
def private_redis(directory: Path) -> Iterator[PrivateRedis]:
    """A running Redis in `directory`, gone after the block."""
    server = PrivateRedis(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()

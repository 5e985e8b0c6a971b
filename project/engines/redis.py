"""An embedded Redis that keeps what it is told, on loopback, behind a password."""

import os
import secrets
import signal
import socket
from pathlib import Path

from redis import Redis as Client
from redis.exceptions import RedisError

from project.engines import binaries, leftover

DATABASES = 128


class Redis:
    """One server in `directory`. `command` runs it; `url(n)` reaches its database `n`."""

    name = "redis"
    stop_signal = signal.SIGTERM
    outside: Path | None = None

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory.resolve()
        leftover.end(self._directory / "redis.pid", self._directory)
        self._port = _free_port()
        self._password = secrets.token_urlsafe(24)
        self.command = [binaries.redis_server(), str(self._write_configuration())]

    def url(self, database: int) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/{database}"

    def ready(self) -> bool:
        try:
            with Client.from_url(self.url(0), socket_timeout=2) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _write_configuration(self) -> Path:
        """A file, since every user of the machine may read the arguments of a process."""
        path = self._directory / "redis.conf"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(f"{line}\n" for line in self._configuration())
        return path

    def _configuration(self) -> list[str]:
        return [
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            f'dir "{self._directory}"',
            f'pidfile "{self._directory / "redis.pid"}"',
            f"databases {DATABASES}",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            "maxmemory-policy noeviction",
        ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

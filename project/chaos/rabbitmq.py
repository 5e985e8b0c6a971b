"""A RabbitMQ node of our own, where its program is installed: nobody else's is touched."""

from __future__ import annotations

import glob
import os
import shutil
import socket
from pathlib import Path

import kombu

_PLACES = ("/usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server", "/opt/rabbitmq*/sbin/rabbitmq-server")


class NotInstalled(Exception):
    """RabbitMQ's own program is not on this machine."""


class RabbitMQ:
    """One node in `directory`. `command` and `environment` run it; `url` reaches it."""

    name = "rabbitmq"

    def __init__(self, directory: Path) -> None:
        program = _program()
        directory.mkdir(parents=True, exist_ok=True)
        self._port, distribution = _free_port(), _free_port()
        configuration = directory / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.default = 127.0.0.1:{self._port}\nlog.console = false\n"
        )
        (directory / "plugins").write_text("[].\n")
        self.address = ("127.0.0.1", self._port)
        self.command = [program]
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(directory),  # its Erlang cookie
            "RABBITMQ_NODENAME": f"chaos-{self._port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_PID_FILE": str(directory / "pid"),
        }

    @property
    def url(self) -> str:
        """For clients that go past the proxy."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def ready(self) -> bool:
        """Whether it takes connections."""
        try:
            with kombu.Connection(self.url, connect_timeout=2) as connection:
                connection.connect()
                return True
        except OSError:
            return False


def _program() -> str:
    found = [path for place in _PLACES for path in sorted(glob.glob(place))]
    program = found[-1] if found else shutil.which("rabbitmq-server")
    if program is None:
        raise NotInstalled(
            "RabbitMQ is not installed here. Install it (Debian: apt-get install rabbitmq-server), "
            "or run chaos with --broker redis."
        )
    return program


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

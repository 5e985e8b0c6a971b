"""A RabbitMQ of a test's own, whose alarms nobody else feels."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from kombu import Connection

from tests.project.processes import until

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # the ones in the path change to the user rabbitmq


class PrivateRabbitMQ:
    """One node at one address."""

    def __init__(self, directory: Path) -> None:
        self.port, distribution = _free_port(), _free_port()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),  # where its cookie is
            "RABBITMQ_NODENAME": f"test-{uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(distribution),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_CONFIG_FILE": str(directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        }
        self._process = subprocess.Popen(
            [_PROGRAMS / "rabbitmq-server"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(self._answers, "RabbitMQ answers", 120)

    @property
    def url(self) -> str:
        """Its address."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def block_publishers(self) -> None:
        """Raise the memory alarm: publishers wait, consumers do not."""
        self._control("set_vm_memory_high_watermark", "absolute", "1")

    def unblock_publishers(self) -> None:
        """Clear the memory alarm."""
        self._control("set_vm_memory_high_watermark", "0.9")

    def stop(self) -> None:
        """End it."""
        os.killpg(self._process.pid, 9)
        self._process.wait()

    def _control(self, *arguments: str) -> None:
        command = [str(_PROGRAMS / "rabbitmqctl"), "--quiet", *arguments]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr

    def _answers(self) -> bool:
        try:
            Connection(self.url, connect_timeout=2).ensure_connection(max_retries=1).release()
        except Exception:
            assert self._process.poll() is None, "RabbitMQ ended"
            return False
        return True


@contextmanager
def private_rabbitmq(directory: Path) -> Iterator[PrivateRabbitMQ]:
    """A running RabbitMQ in `directory`, gone after the block; skips where there can be none."""
    if not (_PROGRAMS / "rabbitmq-server").exists() or not shutil.which("erl"):
        pytest.skip("RabbitMQ is not installed, of which this test starts a node of its own")
    directory.mkdir()
    server = PrivateRabbitMQ(directory)
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""A virtual host of a test's own on the RabbitMQ of this machine, if one answers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from kombu import Connection

from tests.services import HOST, RABBITMQ, give_up

PORT = RABBITMQ.port
_USER = "guest"


class VirtualHost:
    """A virtual host: what a test publishes there, nobody else sees."""

    def __init__(self, name: str) -> None:
        self.name = name

    def url(self, port: int = PORT) -> str:
        """Its address, or the one by way of a proxy on that port."""
        return f"amqp://{_USER}:{_USER}@{HOST}:{port}/{self.name}"

    def refuse_messages(self) -> None:
        """Have every queue full with its first message, and refuse further ones."""
        rules = '{"max-length": 1, "overflow": "reject-publish"}'
        control("set_policy", "--vhost", self.name, "full", ".*", rules, "--apply-to", "queues")

    def kinds(self) -> dict[str, str]:
        """The kind of each queue, by its name."""
        listed = control("list_queues", "--vhost", self.name, "--no-table-headers", "name", "type")
        return dict(line.split("\t") for line in listed.splitlines() if "\t" in line)

    def close_connections(self) -> None:
        """Close every connection to it, as a restart of RabbitMQ does."""
        control("close_all_connections", "--vhost", self.name, "a test closes it")

    def waiting(self, queue: str) -> int:
        """How many messages wait in a queue."""
        with Connection(self.url()) as connection:
            channel: Any = connection.default_channel
            return int(channel.queue_declare(queue, passive=True).message_count)

    def unsettled(self, queue: str) -> int:
        """How many messages wait in a queue, or are with a worker and not acknowledged."""
        listed = control(
            *("list_queues", "--vhost", self.name, "--no-table-headers", "name", "messages")
        )
        return int(dict(line.split("\t") for line in listed.splitlines() if "\t" in line)[queue])


@contextmanager
def virtual_host() -> Iterator[VirtualHost]:
    """A new virtual host, removed after the block; without RabbitMQ the test is given up."""
    _demand_server()
    host = VirtualHost(f"test-{uuid4().hex}")
    control("add_vhost", host.name)
    try:
        control("set_permissions", "--vhost", host.name, _USER, ".*", ".*", ".*")
        yield host
    finally:
        control("delete_vhost", host.name)


def control(*arguments: str) -> str:
    """Run `rabbitmqctl`; give what it printed."""
    done = subprocess.run(
        ["rabbitmqctl", "--quiet", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _demand_server() -> None:
    if shutil.which("rabbitmqctl") is None:
        give_up("there is no rabbitmqctl, which makes a virtual host for this test")
    if not RABBITMQ.answers():
        give_up(f"no RabbitMQ answers on {HOST}:{PORT}")
    try:
        control("list_vhosts")
    except AssertionError as error:
        give_up(f"rabbitmqctl may not manage this RabbitMQ: {error}")

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator

import pytest

from integrations.egress.connection import Connection, until
from tests.integrations.egress.peers import serving, silent
from tests.integrations.egress.resolver import PATIENCE

MUCH = b"x" * 50_000_000
WAITS: dict[str, Callable[[Connection], object]] = {
    "read": lambda connection: connection.read(1),
    "write": lambda connection: connection.write(MUCH),
    "handshake": lambda connection: connection.over_tls(ssl.create_default_context(), "a.example"),
}


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A connection to a silent peer, whose socket would wait longer than the peer is silent."""
    with serving(silent()) as peer:
        connected = socket.create_connection(("127.0.0.1", peer.port), 2 * PATIENCE)
        connection = Connection(connected)
        yield connection
        connection.close()


@pytest.mark.parametrize("wait", WAITS)
def test_no_wait_outlasts_the_deadline(connection: Connection, wait: str) -> None:
    with until(time.monotonic() + 0.2), pytest.raises(TimeoutError):
        WAITS[wait](connection)


@pytest.mark.parametrize("wait", WAITS)
def test_nothing_is_begun_after_the_deadline(connection: Connection, wait: str) -> None:
    with until(time.monotonic() - 1), pytest.raises(TimeoutError, match="the step's time is over"):
        WAITS[wait](connection)


def test_a_wait_may_be_shorter_than_the_deadline(connection: Connection) -> None:
    with until(time.monotonic() + 2 * PATIENCE):
        with pytest.raises(TimeoutError):
            connection.read(1, 0.1)
        with pytest.raises(TimeoutError):
            connection.write(MUCH, 0.1)


def test_a_connection_is_readable_when_something_came_or_it_is_over() -> None:
    here, there = socket.socketpair()
    with here, there:
        connection = Connection(here)
        assert not connection.readable
        there.sendall(b"x")
        assert connection.readable
        with until(time.monotonic() + 5):
            connection.read(1)
        assert not connection.readable
        there.close()
        assert connection.readable
        connection.close()
        assert connection.readable

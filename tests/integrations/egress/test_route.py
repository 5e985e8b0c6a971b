"""Of several addresses the first that can be reached is taken, and never an unchecked one."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from integrations import egress
from integrations.egress import Forbidden, connect
from integrations.egress.connection import Connection, left
from tests.integrations.conftest import SetEgress
from tests.integrations.egress.peers import full
from tests.integrations.egress.resolver import Resolver


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which 127.0.0.1 listens, and no other address of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture(autouse=True)
def _many(set_egress: SetEgress, resolver: Resolver) -> None:
    set_egress(private_hosts="many.example")


def peer_of(connection: Connection) -> str:
    address: str = connection._socket.getpeername()[0]
    connection.close()
    return address


def test_an_address_that_refuses_is_followed_by_the_next(resolver: Resolver, port: int) -> None:
    resolver.book["many.example"] = ["127.0.0.8", "127.0.0.9", "127.0.0.1"]
    with egress.until(time.monotonic() + 5):
        assert peer_of(connect("many.example", port, 5)) == "127.0.0.1"


def test_an_address_that_is_silent_leaves_time_for_the_next(resolver: Resolver) -> None:
    resolver.book["many.example"] = ["127.0.0.9", "127.0.0.1"]
    with ExitStack() as stack:
        port = stack.enter_context(full("127.0.0.9"))
        stack.enter_context(socket.create_server(("127.0.0.1", port)))
        stack.enter_context(egress.until(time.monotonic() + 2))
        # However long one may take: it is given its share of what is left, and no more.
        assert peer_of(connect("many.example", port, 60)) == "127.0.0.1"


def test_no_further_address_is_tried_once_the_time_is_over(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    now = time.monotonic()

    def reach(address: str, port: int) -> Connection:
        tried.append(address)
        monkeypatch.setattr(time, "monotonic", lambda: now + 60)  # so long did it take
        raise TimeoutError

    monkeypatch.setattr(Connection, "to", reach)
    resolver.book["many.example"] = ["127.0.0.8", "127.0.0.9"]
    with (
        egress.until(now + 5),
        pytest.raises(TimeoutError, match="the step's time is over"),
    ):
        connect("many.example", 80, 5)
    assert tried == ["127.0.0.8"]


def test_when_none_can_be_reached_the_last_reason_is_told(resolver: Resolver, port: int) -> None:
    resolver.book["many.example"] = ["127.0.0.8", "127.0.0.9"]
    with egress.until(time.monotonic() + 5), pytest.raises(ConnectionRefusedError):
        connect("many.example", port, 5)
    resolver.book["none.example"] = []
    with egress.until(time.monotonic() + 5), pytest.raises(OSError, match="has no address"):
        connect("none.example", port, 5)


def test_none_is_tried_if_one_is_forbidden(
    resolver: Resolver, set_egress: SetEgress, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_egress(private_hosts="")
    monkeypatch.setattr(Connection, "to", lambda *_: pytest.fail("it was tried"))
    resolver.book["many.example"] = ["93.184.216.34", "127.0.0.1"]
    with egress.until(time.monotonic() + 5), pytest.raises(Forbidden):
        connect("many.example", 80, 5)


def test_a_deadline_within_another_ends_first_and_never_later() -> None:
    now = time.monotonic()
    with egress.until(now + 5):
        with egress.until(now + 60):
            assert left() <= 5
        with egress.until(now - 1), pytest.raises(TimeoutError):
            left()
        assert 0 < left(1) <= 1

"""That no request leaves for where none may go: seen by servers that count who comes."""

from __future__ import annotations

import socket
from typing import Any

import httpcore2
import pytest

from integrations import egress
from integrations.call import Call
from integrations.errors import PartnerUnavailable
from integrations.http import pool, send
from tests.integrations.http.raw import answering, response


def read() -> Call:
    return Call.within(5, "inventory", "find", writes=False)


def visitors(server: socket.socket) -> int:
    """How many connections wait to be accepted."""
    server.setblocking(False)
    came = 0
    while True:
        try:
            server.accept()[0].close()
        except BlockingIOError:
            return came
        came += 1


def test_a_host_on_this_machine_that_is_not_allowed_by_name_is_not_connected_to() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://localhost:{server.getsockname()[1]}/"
        with pytest.raises(PartnerUnavailable, match=r"localhost is at .* no public address"):
            send(read(), "GET", address)
        assert visitors(server) == 0


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A name that answers otherwise when asked again, as an attacker's name server would.
    answers = iter(["127.0.0.1", "127.0.0.2"])
    really = socket.getaddrinfo

    def look_up(host: str, *more: Any, **named: Any) -> list[Any]:
        return really(next(answers) if host == "rebound.example" else host, *more, **named)

    with answering(response(b"{}")) as address:
        port = address.rpartition(":")[2]
        monkeypatch.setattr(egress, "_allowed", lambda: frozenset({"rebound.example"}))
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        assert send(read(), "GET", f"http://rebound.example:{port}/").status == 200
        assert next(answers) == "127.0.0.2"  # nobody asked a second time


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_to_another_host_is_not_followed(status: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.getsockname()[1]}/"
        with answering(response(b"", status, location)) as address:
            reply = send(read(), "GET", address, headers={"Authorization": "Bearer secret"})
        assert reply.status == int(status[:3])
        assert visitors(elsewhere) == 0


def test_of_several_addresses_the_next_is_tried_when_one_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering(response(b"{}")) as address:
        port = address.rpartition(":")[2]
        monkeypatch.setattr(egress, "resolved", lambda host, port: ["127.0.0.9", "127.0.0.1"])
        assert send(read(), "GET", f"http://two.example:{port}/").status == 200


def test_no_further_address_is_tried_once_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def connect(_: object, host: str, *__: object, **___: object) -> None:
        tried.append(host)
        pool._deadline.set(0.0)  # so long did it take
        raise httpcore2.ConnectTimeout

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect)
    monkeypatch.setattr(egress, "resolved", lambda host, port: ["127.0.0.8", "127.0.0.9"])
    with pytest.raises(PartnerUnavailable, match="nothing was sent"):
        send(read(), "GET", "http://two.example/")
    assert tried == ["127.0.0.8"]

"""That no request leaves for where none may go: seen by servers that count who comes."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from integrations.call import Call
from integrations.errors import PartnerUnavailable
from integrations.http import send
from tests.integrations.conftest import SetEgress
from tests.integrations.egress.peers import answering_over_tls, certified, serving
from tests.integrations.egress.resolver import Resolver
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
    set_egress: SetEgress, resolver: Resolver
) -> None:
    set_egress(private_hosts="rebound.example")
    resolver.book["rebound.example"] = ["127.0.0.1"]
    with answering(response(b"{}")) as address:
        port = address.rpartition(":")[2]
        assert send(read(), "GET", f"http://rebound.example:{port}/").status == 200
    assert resolver.asked == ["rebound.example"]  # an attacker's would answer otherwise then


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_to_another_host_is_not_followed(status: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.getsockname()[1]}/"
        with answering(response(b"", status, location)) as address:
            reply = send(read(), "GET", address, headers={"Authorization": "Bearer secret"})
        assert reply.status == int(status[:3])
        assert visitors(elsewhere) == 0


def test_of_several_addresses_the_next_is_tried_when_one_does_not_answer(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    set_egress(private_hosts="two.example")
    resolver.book["two.example"] = ["127.0.0.9", "127.0.0.1"]
    with answering(response(b"{}")) as address:
        port = address.rpartition(":")[2]
        assert send(read(), "GET", f"http://two.example:{port}/").status == 200


@pytest.mark.usefixtures("new_client")
def test_the_dot_that_ends_a_name_is_for_the_name_server_alone(
    set_egress: SetEgress, resolver: Resolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_egress(private_hosts="api.example")
    resolver.book["api.example."] = ["127.0.0.1"]
    context, trusted = certified("api.example", tmp_path)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with serving(answering_over_tls(context, response(b"{}"))) as server:
        assert send(read(), "GET", f"https://api.example.:{server.port}/").status == 200
    assert resolver.asked == ["api.example."]
    assert names == ["api.example"]
    assert f"\r\nHost: api.example:{server.port}\r\n".encode() in server.heard[0]

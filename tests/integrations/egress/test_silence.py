"""Whoever never answers: the call ends with its time, and says truly whether something was sent.

Each peer here is silent until the test is over, and fails the test if somebody waits for that.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from integrations import http
from integrations.call import Call
from integrations.conf import NotificationsSettings
from integrations.errors import PartnerError, PartnerUnavailable, PartnerUnknown
from integrations.http import pool
from integrations.notifications.client import MailNotifications
from tests.integrations.conftest import SetEgress
from tests.integrations.egress.peers import (
    PUBLIC,
    Peer,
    Serve,
    dripping,
    full,
    passing,
    serving,
    silent,
)
from tests.integrations.egress.resolver import Resolver

SECONDS = 0.4
ENOUGH = 1.0
"""Seconds in which a request is sent, however busy the machine is."""


@pytest.fixture(autouse=True)
def _client_made_before() -> None:
    """It takes a while, which would be a part of the first call."""
    pool.client()


@pytest.fixture
def open_() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def ask(url: str, content: bytes = b"{}", seconds: float = SECONDS) -> PartnerError:
    call = Call.within(seconds, "inventory", "reserve")
    with pytest.raises(PartnerError) as raised:
        http.send(call, "POST", url, content=content)
    return raised.value


def mail(host: str, port: int, security: str = "none") -> PartnerError:
    settings = NotificationsSettings(smtp_host=host, smtp_port=port, smtp_security=security)
    with pytest.raises(PartnerError) as raised:
        MailNotifications(settings).send("a@b.example", "s", "b", "r", key="k", timeout=SECONDS)
    return raised.value


def not_sent(error: PartnerError, why: str) -> bool:
    return isinstance(error, PartnerUnavailable) and why in str(error)


# --- a name server -------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_server_that_never_answers_leaves_a_request_unsent(
    resolver: Resolver, scheme: str
) -> None:
    resolver.silent.add("api.example")
    error = ask(f"{scheme}://api.example/")
    assert not_sent(error, "the name server does not answer for api.example")


def test_a_name_server_that_never_answers_leaves_a_mail_unsent(resolver: Resolver) -> None:
    resolver.silent.add("mail.example")
    error = mail("mail.example", 25)
    assert not_sent(error, "the name server does not answer for mail.example")


def test_no_mail_waits_for_the_name_of_this_machine(
    open_: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django and smtplib look it up to say it to the mail server."""
    monkeypatch.setattr("socket.getfqdn", lambda *_: pytest.fail("it was looked up"))
    monkeypatch.setattr("socket.gethostname", lambda: "container")
    server = open_.enter_context(serving(_greeting))
    mail("127.0.0.1", server.port)
    assert server.heard == [b"ehlo [127.0.0.1]\r\n"]


def _greeting(peer: Peer, connection: socket.socket) -> None:
    connection.sendall(b"220 hello\r\n")
    peer.heard.append(connection.recv(1000))
    peer.silence()


# --- a connection --------------------------------------------------------------------------


def test_a_host_that_never_takes_the_connection_gets_no_request(open_: ExitStack) -> None:
    port = open_.enter_context(full())
    assert not_sent(ask(f"http://127.0.0.1:{port}/"), "nothing was sent (ConnectTimeout")


def test_a_host_that_never_takes_the_connection_gets_no_mail(open_: ExitStack) -> None:
    port = open_.enter_context(full())
    assert not_sent(mail("127.0.0.1", port), "no message was sent")


# --- a handshake ---------------------------------------------------------------------------


@pytest.mark.parametrize("serve", [silent(), silent(b"\x16\x03\x03"), dripping(b"\x16\x03\x03")])
def test_a_handshake_that_never_ends_leaves_a_request_unsent(
    open_: ExitStack, serve: Serve
) -> None:
    port = open_.enter_context(serving(serve)).port
    assert not_sent(ask(f"https://127.0.0.1:{port}/"), "nothing was sent")


def test_a_handshake_that_never_ends_leaves_a_mail_unsent(open_: ExitStack) -> None:
    port = open_.enter_context(serving(silent())).port
    assert not_sent(mail("127.0.0.1", port, "tls"), "no message was sent")


def test_a_handshake_after_starttls_that_never_ends_leaves_a_mail_unsent(open_: ExitStack) -> None:
    def serve(peer: Peer, connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        silent(b"250-hello\r\n250 STARTTLS\r\n", b"220 go on\r\n")(peer, connection)

    peer = open_.enter_context(serving(serve))
    assert not_sent(mail("127.0.0.1", peer.port, "starttls"), "no message was sent")
    assert peer.heard[1] == b"STARTTLS\r\n"


# --- an answer -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said", [(), (b"HTTP/1.1 200 OK\r\n",), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",)]
)
def test_an_answer_that_never_comes_leaves_a_request_unknown(
    open_: ExitStack, said: tuple[bytes, ...]
) -> None:
    port = open_.enter_context(serving(silent(*said))).port
    assert isinstance(ask(f"http://127.0.0.1:{port}/", seconds=ENOUGH), PartnerUnknown)


def test_a_body_that_is_never_taken_leaves_a_request_unknown(open_: ExitStack) -> None:
    port = open_.enter_context(serving(silent())).port
    assert isinstance(ask(f"http://127.0.0.1:{port}/", b"x" * 50_000_000, ENOUGH), PartnerUnknown)


def test_a_body_that_is_taken_by_drips_ends_with_the_call(open_: ExitStack) -> None:
    def serve(peer: Peer, connection: socket.socket) -> None:
        while not peer.over.wait(0.02):
            connection.recv(65536)

    port = open_.enter_context(serving(serve)).port
    assert isinstance(ask(f"http://127.0.0.1:{port}/", b"x" * 50_000_000, ENOUGH), PartnerUnknown)


@pytest.mark.parametrize("serve", [silent(), dripping(b"2"), dripping(b"220-hello\r\n")])
def test_a_greeting_that_never_ends_leaves_a_mail_unsent(open_: ExitStack, serve: Serve) -> None:
    port = open_.enter_context(serving(serve)).port
    assert not_sent(mail("127.0.0.1", port), "no message was sent")


# --- a proxy -------------------------------------------------------------------------------


def through(set_egress: SetEgress, port: int) -> None:
    set_egress(egress_proxy=f"http://127.0.0.1:{port}", private_hosts="")


@pytest.mark.parametrize("serve", [silent(), silent(b"HTTP/1.1 2"), dripping(b"H")])
def test_a_proxy_that_never_answers_leaves_a_request_unsent(
    open_: ExitStack, set_egress: SetEgress, serve: Serve
) -> None:
    through(set_egress, open_.enter_context(serving(serve)).port)
    assert not_sent(ask(f"http://{PUBLIC}/"), "the egress proxy does not answer")
    assert not_sent(mail(PUBLIC, 25), "the egress proxy does not answer")


def test_a_proxy_that_never_takes_the_connection_leaves_a_request_unsent(
    open_: ExitStack, set_egress: SetEgress
) -> None:
    through(set_egress, open_.enter_context(full()))
    assert not_sent(ask(f"http://{PUBLIC}/"), "nothing was sent")


def test_a_proxy_whose_name_is_never_resolved_leaves_a_request_unsent(
    resolver: Resolver, set_egress: SetEgress
) -> None:
    resolver.silent.add("proxy.internal")
    set_egress(egress_proxy="http://proxy.internal:3128", private_hosts="")
    error = ask(f"http://{PUBLIC}/")
    assert not_sent(error, "the name server does not answer for proxy.internal")


def test_once_the_tunnel_stands_a_silent_partner_leaves_a_request_unknown(
    open_: ExitStack, set_egress: SetEgress
) -> None:
    partner = open_.enter_context(serving(silent()))
    through(set_egress, open_.enter_context(serving(passing(partner.port))).port)
    assert isinstance(ask(f"http://{PUBLIC}/", seconds=ENOUGH), PartnerUnknown)
    assert not_sent(ask(f"https://{PUBLIC}/"), "nothing was sent")

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from integrations import http
from integrations.call import Call
from integrations.conf import NotificationsSettings
from integrations.errors import NotAsked, PartnerUnavailable, PartnerUnknown
from integrations.notifications.client import MailNotifications
from integrations.sandbox.process import RunningSandbox
from tests.integrations.conftest import SetEgress
from tests.integrations.egress.peers import (
    PUBLIC,
    answering_over_tls,
    certified,
    passing,
    serving,
    silent,
)
from tests.integrations.egress.resolver import Resolver
from tests.integrations.http.raw import answering, response


def get(url: str) -> http.Reply:
    return http.send(Call.within(5, "inventory", "reserve"), "GET", url)


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_the_proxy_is_given_the_checked_address_and_never_the_name(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    resolver.book["api.example"] = [PUBLIC]
    seen: list[bytes] = []
    with (
        answering(response(b"{}"), seen=seen) as partner,
        serving(passing(port_of(partner))) as proxy,
    ):
        set_egress(egress_proxy=f"http://127.0.0.1:{proxy.port}", private_hosts="")
        assert get("http://api.example/thing").status == 200
    asked = f"CONNECT {PUBLIC}:80 HTTP/1.1\r\nHost: {PUBLIC}:80\r\n\r\n"
    assert proxy.heard == [asked.encode()]
    assert seen[0].startswith(b"GET /thing HTTP/1.1\r\nHost: api.example\r\n")


def test_a_forbidden_destination_is_forbidden_by_the_proxy_too(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    resolver.book["inside.example"] = [PUBLIC, "169.254.169.254"]
    with serving(silent()) as proxy:
        set_egress(egress_proxy=f"http://127.0.0.1:{proxy.port}", private_hosts="")
        for host in ("inside.example", "127.0.0.1", "localhost"):
            with pytest.raises(PartnerUnavailable, match="no public address"):
                get(f"http://{host}/")
    assert proxy.heard == []


def test_a_private_host_is_called_directly(set_egress: SetEgress) -> None:
    with answering(response(b"{}")) as partner, serving(silent()) as proxy:
        set_egress(egress_proxy=f"http://127.0.0.1:{proxy.port}", private_hosts="127.0.0.1")
        assert get(partner).status == 200
    assert proxy.heard == []


@pytest.mark.usefixtures("new_client")
def test_through_the_proxy_tls_is_that_of_the_partner(
    set_egress: SetEgress, resolver: Resolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver.book["api.example"] = [PUBLIC]
    context, trusted = certified("api.example", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    with (
        serving(answering_over_tls(context, response(b"{}"))) as partner,
        serving(passing(partner.port)) as proxy,
    ):
        set_egress(egress_proxy=f"http://127.0.0.1:{proxy.port}", private_hosts="")
        assert get("https://api.example/secret").status == 200
    assert proxy.heard[0].startswith(f"CONNECT {PUBLIC}:443 ".encode())
    assert partner.heard[0].startswith(b"GET /secret ")


def test_a_mail_goes_through_the_proxy_too(
    set_egress: SetEgress, sandbox: RunningSandbox, reference: str
) -> None:
    with serving(passing(sandbox.smtp[1])) as proxy:
        set_egress(egress_proxy=f"http://127.0.0.1:{proxy.port}", private_hosts="")
        settings = NotificationsSettings(smtp_host=PUBLIC, smtp_port=587, smtp_security="none")
        MailNotifications(settings).send(
            "customer@example.com", "s", "b", reference, key=reference[6:], timeout=5
        )
    assert proxy.heard[0].startswith(f"CONNECT {PUBLIC}:587 ".encode())
    assert len(sandbox.ledger.effects(reference)) == 1


def test_what_we_are_is_told_to_the_proxy_alone(set_egress: SetEgress) -> None:
    seen: list[bytes] = []
    with (
        answering(response(b"{}"), seen=seen) as partner,
        serving(passing(port_of(partner))) as proxy,
    ):
        set_egress(
            egress_proxy=f"http://us%40home:p%3Ass@127.0.0.1:{proxy.port}/", private_hosts=""
        )
        assert get(f"http://{PUBLIC}/").status == 200
    said = base64.b64encode(b"us@home:p:ss")
    assert b"Proxy-Authorization: Basic " + said + b"\r\n" in proxy.heard[0]
    assert b"proxy" not in seen[0].lower()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "answered 403"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nX: y\r\n\r\n", "answered 407"),
        (b"HTTP/1.0 503 \r\n\r\n", "answered 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "answered with what is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "answered with what is no HTTP"),
        (b"", "failed"),
    ],
)
def test_what_the_proxy_refuses_was_not_sent_and_the_breaker_learns_of_it(
    set_egress: SetEgress, monkeypatch: pytest.MonkeyPatch, answer: bytes, why: str
) -> None:
    breaker = {"*": {"retry": {"tries": 1}, "breaker": {"minimum": 2}}}
    monkeypatch.setenv("INTEGRATIONS_RESILIENCE", json.dumps(breaker))
    with answering(answer) as proxy:
        set_egress(egress_proxy=f"http://:secret@127.0.0.1:{port_of(proxy)}", private_hosts="")
        for _ in range(2):
            with pytest.raises(PartnerUnavailable, match=f"the egress proxy ({why})") as raised:
                get(f"http://{PUBLIC}/")
            assert "secret" not in str(raised.value)
        with pytest.raises(NotAsked, match="circuit breaker is open"):
            get(f"http://{PUBLIC}/")


def test_the_next_address_is_tried_when_the_proxy_does_not_reach_one(
    set_egress: SetEgress, resolver: Resolver
) -> None:
    resolver.book["api.example"] = ["2606:2800:220:1::1", PUBLIC]
    refused = b"HTTP/1.1 502 Bad Gateway\r\n\r\n"
    seen: list[bytes] = []
    with answering(refused, refused, seen=seen) as proxy:
        set_egress(egress_proxy=f"http://127.0.0.1:{port_of(proxy)}", private_hosts="")
        with pytest.raises(PartnerUnavailable, match="answered 502"):
            get("https://api.example/")
    told = [request.split(b" ")[1] for request in seen]
    assert told == [b"[2606:2800:220:1::1]:443", f"{PUBLIC}:443".encode()]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
@pytest.mark.usefixtures("new_client")
def test_a_proxy_of_the_environment_is_not_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(response(b"{}")) as partner, serving(silent()) as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert get(partner).status == 200
        assert proxy.heard == []


def test_a_tunnel_that_breaks_leaves_a_request_unknown(set_egress: SetEgress) -> None:
    with answering(b"") as partner, serving(passing(port_of(partner))) as proxy:
        set_egress(egress_proxy=f"http://127.0.0.1:{proxy.port}", private_hosts="")
        with pytest.raises(PartnerUnknown):
            get(f"http://{PUBLIC}/")

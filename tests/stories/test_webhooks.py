"""Partners call the real server: over sockets, in bursts, and badly."""

from __future__ import annotations

import json
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from integrations.models import PartnerObject, WebhookEvent
from integrations.sandbox.webhooks import SENDERS, WHSEC
from integrations.webhooks import inbox
from integrations.webhooks.received import Event
from integrations.webhooks.work import work
from project.world import World
from sagas.models import Run
from tests.integrations.test_models import an_order


@pytest.fixture
def site(world: World) -> str:
    """The address of a site whose partners sign with the sandbox's secret."""
    for source in SENDERS:
        world.environment[f"INTEGRATIONS_WEBHOOKS_{source.upper()}_SECRETS"] = WHSEC
    return world.web(0)


def signed(number: int, *, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    """An event of one of thirty subscriptions; the higher its number, the later."""
    subscription = {"id": f"sub_{number % 30}", "object": "subscription", "customer": "cus_1"}
    event = {
        "id": f"evt_{number}",
        "type": "customer.subscription.updated",
        "created": 1_700_000_000 + number,
        "data": {"object": {**subscription, "status": "active", "n": number}},
    }
    body = json.dumps(event).encode()
    return body, SENDERS["payments"](WHSEC, "", body, at or time.time(), "")


def post(site: str, requests: list[tuple[bytes, dict[str, str]]]) -> list[int]:
    """Send them one after another over one connection."""
    place = urlsplit(site)
    connection = HTTPConnection(str(place.hostname), place.port or 80, timeout=30)
    statuses = []
    for body, headers in requests:
        connection.request("POST", "/webhooks/payments", body, headers)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    return statuses


def raw(site: str, *pieces: bytes) -> bytes:
    """Send bytes, say that no more come, and read what is answered."""
    place = urlsplit(site)
    with socket.create_connection((str(place.hostname), place.port or 80), timeout=30) as door:
        for piece in pieces:
            door.sendall(piece)
        door.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: door.recv(65_536), b""))


def head(length: object, *lines: str) -> bytes:
    told = ["POST /webhooks/payments HTTP/1.1", "Host: localhost", "Connection: close"]
    if length is not None:
        told.append(f"Content-Length: {length}")
    return "\r\n".join([*told, *lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED = "Transfer-Encoding: chunked"


def test_a_burst_with_doubles_in_any_order_is_kept_and_handled_once_each(site: str) -> None:
    requests = [signed(number) for number in range(300)]
    requests += random.sample(requests, 100)
    requests += [signed(number, at=time.time() - 9) for number in range(0, 300, 3)]
    random.shuffle(requests)
    with ThreadPoolExecutor(6) as pool:
        parts = [pool.submit(post, site, requests[place::6]) for place in range(6)]
        assert {status for part in parts for status in part.result()} == {202}
    assert WebhookEvent.objects.count() == 300
    assert work(seconds=60) == 300
    assert WebhookEvent.objects.filter(status="done", attempts=1).count() == 300
    told_by = set(PartnerObject.objects.values_list("told_by", flat=True))
    assert told_by == {f"evt_{number}" for number in range(270, 300)}


def test_what_is_sent_badly_is_answered_and_the_next_is_served(site: str) -> None:
    body, headers = signed(1)
    signature = f"Stripe-Signature: {headers['Stripe-Signature']}"
    cases = [
        (b"HTTP/1.1 413", head(1_000_000, signature), b"x" * 1_000_000),
        (b"HTTP/1.1 413", head(10**12, signature), b"x" * 100),
        (b"HTTP/1.1 400", head(len(body), signature), body[:-10]),  # broke off
        (b"HTTP/1.1 411", head(None, signature)),
        (b"HTTP/1.1 400", head(None, signature, CHUNKED), chunk(body), b"5\r\nab"),  # broke off
        (b"HTTP/1.1 400", head(None, signature, CHUNKED), b"zz\r\nab\r\n0\r\n\r\n"),
        (b"HTTP/1.1 403", head(None, signature, CHUNKED), b"0\r\n\r\n"),
        (b"HTTP/1.1 413", head(None, signature, CHUNKED), *[chunk(b"x" * 50_000)] * 20, b"0\r\n"),
        (b"HTTP/1.1 413", head(None, signature, CHUNKED), b"fffffffff\r\n", b"x" * 300_000),
        (b"HTTP/1.1 400", head(len(body), signature, CHUNKED), chunk(body), b"0\r\n\r\n"),
        (b"HTTP/1.1 403", head(len(body), signature, signature), body),
        (b"HTTP/1.1 403", head(len(body), "Stripe-Signature: \xff\xfe"), body),
        (b"HTTP/1.1 403", head(len(body), "Stripe_Signature: t=1,v1=2"), body),
        (b"HTTP/1.1 431", head(len(body), "Stripe-Signature: " + "x" * 100_000), body),
        (b"HTTP/1.1 202", head(len(body), signature), body),
    ]
    for status, *pieces in cases:
        assert raw(site, *pieces).startswith(status), pieces[0][:200]
    assert WebhookEvent.objects.count() == 1


def test_one_in_chunks_is_kept_and_its_connection_serves_the_next(site: str) -> None:
    place = urlsplit(site)
    connection = HTTPConnection(str(place.hostname), place.port or 80, timeout=30)
    for number, size in enumerate((1, 7, 10_000)):
        body, headers = signed(number)
        pieces = (body[at : at + size] for at in range(0, len(body), size))
        connection.request("POST", "/webhooks/payments", pieces, headers, encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (202, b'{"new": 1, "known": 0}')
    connection.close()
    assert WebhookEvent.objects.count() == 3


def test_the_carrier_tells_twice_and_in_any_order_and_the_run_goes_on(
    world: World, site: str
) -> None:
    partners = world.partners()
    world.workers()
    order = an_order()
    order.save()
    number = f"trk_{uuid4().hex[:8]}"
    events = [
        {
            "id": f"msg_{kind}_{number}",
            "body": {
                "type": kind,
                "timestamp": "2026-05-01T12:00:00Z",
                "data": {"tracking_number": number, "reference": order.key},
            },
        }
        for kind in ("parcel.delivered", "parcel.collected")
    ]
    assert partners.tell(site, "shipping", *events, copies=3, shuffle=True) == [202] * 6
    assert _ends(f"parcel:{number}") == "succeeded"
    run = Run.objects.get(business_key=f"parcel:{number}")
    done = run.steps.filter(status="succeeded").values_list("name", flat=True)
    assert set(done) == {"arrival", "confirm_arrival"}
    sent = [effect.kind for effect in partners.ledger.effects(run.business_key)]
    assert sent == ["sent"]


def test_a_thin_event_is_kept_as_the_partner_answers(world: World, site: str) -> None:
    partners = world.partners()
    world.workers({"steps": ["sagas"]}, processes=1)
    made = _subscribed(world.environment["INTEGRATIONS_PAYMENTS_API_BASE"])
    event = {
        "id": "evt_thin",
        "object": "v2.core.event",
        "type": "v1.customer.subscription.created",
        "created": "2026-05-01T12:00:00.731Z",
        "related_object": {"id": made, "type": "subscription"},
    }
    assert partners.tell(site, "payments", {"id": "evt_thin", "body": event}) == [202]
    for _ in range(600):
        known = PartnerObject.objects.filter(subject=made, asked_by="").first()
        if known is not None:
            assert known.state["status"] == "active"
            return
        time.sleep(0.1)
    raise AssertionError("nobody has asked how the subscription stands")


def _subscribed(address: str) -> str:
    customer = _made(address, "customers", {"email": "ann@example.com"})
    wanted = {
        "customer": customer,
        "items[0][price]": "price_1",
        "collection_method": "send_invoice",
        "days_until_due": "14",
    }
    return _made(address, "subscriptions", wanted)


def _made(address: str, kind: str, fields: dict[str, str]) -> str:
    url, data = f"{address.rstrip('/')}/v1/{kind}", urlencode(fields).encode()
    request = Request(url, data, {"Authorization": "Bearer sk_test_1"}, method="POST")
    with urlopen(request, timeout=30) as answer:
        return str(json.load(answer)["id"])


def test_an_event_of_which_no_worker_was_told_is_handled_after_a_sweep(world: World) -> None:
    body, _ = signed(1)
    kind = "customer.subscription.updated"
    at = datetime.fromtimestamp(1_700_000_001, UTC)
    inbox.keep([Event("payments", "evt_1", kind, body.decode(), at)])  # and nobody sends a message
    world.workers({"steps": ["sagas"]}, processes=1)
    for _ in range(600):
        if WebhookEvent.objects.get().status == "done":
            return
        time.sleep(0.1)
    raise AssertionError("no worker has looked into the inbox")


def _ends(key: str) -> str:
    for _ in range(600):
        run = Run.objects.filter(business_key=key).first()
        if run is not None and run.finished_at is not None:
            return str(run.status)
        time.sleep(0.1)
    raise AssertionError(f"no run of {key} has ended")

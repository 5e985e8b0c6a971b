from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.error import HTTPError

import pytest
import standardwebhooks
import stripe

from integrations.sandbox.process import RunningSandbox
from integrations.sandbox.webhooks import SENDERS, WHSEC

EVENTS: list[dict[str, Any]] = [
    {"id": f"evt_{number}", "body": {"id": f"evt_{number}"}} for number in range(20)
]


class Site:
    """Notes what it is sent, and answers with `status`."""

    def __init__(self) -> None:
        self.status, self.sent = 202, list[tuple[str, dict[str, str], bytes]]()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.sent.append((self.path, dict(self.headers), body))
                self.send_response(site.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, _, body in self.sent]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def test_events_are_signed_as_the_vendors_libraries_want_it(
    sandbox: RunningSandbox, site: Site
) -> None:
    for source in ("payments", "shipping"):
        assert sandbox.tell(site.address, source, *EVENTS[:1]) == [202]
    (_, by_stripe, first), (path, by_standard, second) = site.sent
    verify: Any = stripe.WebhookSignature.verify_header
    assert verify(first, by_stripe["Stripe-Signature"], WHSEC, 60)
    assert standardwebhooks.Webhook(WHSEC).verify(second, by_standard) == {"id": "evt_0"}
    assert path == "/webhooks/shipping"


def test_they_come_as_often_and_in_the_order_that_is_asked_for(
    sandbox: RunningSandbox, site: Site
) -> None:
    sandbox.tell(site.address, "payments", *EVENTS, copies=2)
    whole = [event["id"] for event in EVENTS] * 2
    assert site.ids() == whole
    site.sent.clear()
    sandbox.tell(site.address, "payments", *EVENTS, copies=2, shuffle=True)
    assert site.ids() != whole
    assert sorted(site.ids()) == sorted(whole)


def test_a_refusal_is_told(sandbox: RunningSandbox, site: Site) -> None:
    site.status = 403
    assert sandbox.tell(site.address, "github", *EVENTS[:2]) == [403, 403]


def test_an_unknown_source_is_refused(sandbox: RunningSandbox, site: Site) -> None:
    with pytest.raises(HTTPError):
        sandbox.tell(site.address, "nobody", *EVENTS[:1])


def test_the_environment_trusts_every_sender(sandbox: RunningSandbox) -> None:
    named = {n: v for n, v in sandbox.environment().items() if n.endswith("_SECRETS")}
    assert named == {f"INTEGRATIONS_WEBHOOKS_{s.upper()}_SECRETS": WHSEC for s in SENDERS}

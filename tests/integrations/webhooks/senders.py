"""Partners that call us, each as it signs and wraps its events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from integrations.sandbox.webhooks import SENDERS
from integrations.webhooks import sources
from integrations.webhooks.received import Received
from integrations.webhooks.sources import SOURCES

OLD = "whsec_b2xkIHNlY3JldCBvbGQgc2VjcmV0IG9sZCBzZWNyZXQ="
NEW = "whsec_bmV3IHNlY3JldCBuZXcgc2VjcmV0IG5ldyBzZWNyZXQ="
OTHER = "whsec_b3RoZXIgc2VjcmV0IG90aGVyIHNlY3JldCBvdGhlciE="


@dataclass(frozen=True)
class Sender:
    """One source that calls the test client's site."""

    client: Client
    source: str

    @property
    def path(self) -> str:
        return f"/webhooks/{self.source}"

    def signed(
        self,
        document: Any,
        *,
        event_id: str = "",
        secret: str = OLD,
        at: float | None = None,
        body: bytes | None = None,
    ) -> tuple[bytes, dict[str, str]]:
        """A body with the headers that go with it."""
        body = json.dumps(document).encode() if body is None else body
        sign = SENDERS[self.source]
        when = time.time() if at is None else at
        url = f"http://testserver{self.path}"
        return body, sign(secret, url, body, when, event_id or f"msg_{uuid4().hex}")

    def send(self, body: bytes, headers: Mapping[str, str], **extra: Any) -> Any:
        """Post it as it is; a server of ours knows the length of an empty body too."""
        sent = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": BytesIO(body), **extra}
        return self.client.generic(
            "POST", self.path, body, content_type="application/json", headers=headers, **sent
        )

    def tell(self, document: Any, **how: Any) -> Any:
        """Sign and post a document."""
        return self.send(*self.signed(document, **how))


@contextmanager
def trusted(monkeypatch: pytest.MonkeyPatch, *secrets: str) -> Iterator[None]:
    """Let all sources sign with these secrets for the length of the block."""
    for source in SOURCES.values():
        monkeypatch.setenv(f"INTEGRATIONS_{source.setting.upper()}", ",".join(secrets))
    sources.forget()
    try:
        yield
    finally:
        sources.forget()


def received(
    body: bytes, headers: Mapping[str, str], url: str = "http://testserver/webhooks/x"
) -> Received:
    """A request as a scheme gets it."""
    return Received("POST", url, {n.lower(): v for n, v in headers.items()}, body)


def an_event(source: str, number: str = "1", **more: Any) -> Any:
    """A document as the source sends it, of a kind that nobody handles."""
    match source:
        case "payments":
            return {"id": f"evt_{number}", "type": "charge.updated", "created": 1, **more}
        case "hubspot":
            return [{"eventId": number, "subscriptionType": "deal.creation", **more}]
        case "github":
            return {"action": "opened", "issue": {"number": number}, **more}
    return {"type": "truck.washed", "timestamp": "2026-01-01T00:00:00Z", "data": number, **more}

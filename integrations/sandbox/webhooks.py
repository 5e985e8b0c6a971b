"""Partners that call us: they sign as their documents say, and send twice or in any order if told.

Written from the documents alone, so that it is a second opinion on our own checks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

Headers = dict[str, str]

_PATIENCE = 15.0


def stripe(secret: str, url: str, body: bytes, at: float, event_id: str) -> Headers:
    """https://docs.stripe.com/webhooks/signature"""
    signature = _hex(secret.encode(), b"%d." % at + body)
    return {"Stripe-Signature": f"t={int(at)},v1={signature}"}


def github(secret: str, url: str, body: bytes, at: float, event_id: str) -> Headers:
    """https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers"""
    return {
        "X-GitHub-Event": "issues",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={_hex(secret.encode(), body)}",
    }


def hubspot(secret: str, url: str, body: bytes, at: float, event_id: str) -> Headers:
    """https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests"""
    time_ms = str(int(at * 1000))
    signed = b"POST" + url.encode() + body + time_ms.encode()
    return {
        "X-HubSpot-Request-Timestamp": time_ms,
        "X-HubSpot-Signature-v3": _base64(secret.encode(), signed),
    }


def standard(secret: str, url: str, body: bytes, at: float, event_id: str) -> Headers:
    """https://www.standardwebhooks.com"""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{event_id}.{int(at)}.".encode() + body
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,{_base64(key, signed)}",
    }


WHSEC = "whsec_c2FuZGJveCBzZWNyZXQgb2YgdGhlIHNhbmRib3g="
"""What every stand-in signs with."""

SENDERS: Mapping[str, Callable[[str, str, bytes, float, str], Headers]] = {
    "payments": stripe,
    "github": github,
    "hubspot": hubspot,
    "shipping": standard,
    "leads": standard,
}
"""How each source signs, by its name."""


def deliver(params: Mapping[str, Any]) -> list[int]:
    """Sign events and send them, one after another. Gives the status of each answer.

    Args:
        params: ``site``, the address of ours; ``source``; and ``events``: a list of
            ``{"id": …, "body": …}``. ``copies`` says how often each is sent (once), ``shuffle``
            whether in any order instead of as they are listed.

    Raises:
        KeyError, ValueError: the parameters are no such.
    """
    events: Sequence[Mapping[str, Any]] = list(params["events"]) * int(params.get("copies", 1))
    if params.get("shuffle"):
        events = random.sample(events, len(events))
    return [_send(params["site"], params["source"], event) for event in events]


def _send(site: str, source: str, event: Mapping[str, Any]) -> int:
    url, body = f"{site}/webhooks/{source}", json.dumps(event["body"]).encode()
    headers = SENDERS[source](WHSEC, url, body, time.time(), str(event["id"]))
    request = Request(
        url, method="POST", data=body, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urlopen(request, timeout=_PATIENCE) as answer:
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code


def _hex(key: bytes, signed: bytes) -> str:
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


def _base64(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()

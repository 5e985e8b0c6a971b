"""Standard Webhooks: id, time and body signed together, with a signature for each secret.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md

Svix, which many senders use, does the same under names of its own:
https://docs.svix.com/receiving/verifying-payloads/how-manual
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

from integrations.webhooks.received import Received
from integrations.webhooks.signatures import demand_one_of, demand_recent, whole_number

_STANDARD, _SVIX = "webhook", "svix"
_VERSION = "v1,"
_MOST = 20
_SHORTEST = 16  # the specification asks for 24 bytes and more; some senders use fewer


def key(secret: str) -> bytes:
    """The bytes that the secret writes in base64, after whsec_. Raises ValueError."""
    encoded = secret.removeprefix("whsec_").rstrip("=")
    decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    if len(decoded) < _SHORTEST:
        raise ValueError(f"needs {_SHORTEST} bytes or more")
    return decoded


def verify(received: Received, keys: Sequence[bytes], now: float) -> None:
    """Let pass what one of `keys` has signed about `now`. Raises Forged or Stale."""
    prefix = _prefix(received)
    event, time = received.header(f"{prefix}-id"), received.header(f"{prefix}-timestamp")
    at = whole_number(time)
    signed = f"{event}.{time}.".encode("utf-8", "replace") + received.body
    given = received.header(f"{prefix}-signature").split(" ")[:_MOST]
    right = [base64.b64encode(hmac.digest(k, signed, "sha256")) for k in keys]
    demand_one_of([g.removeprefix(_VERSION) for g in given if g.startswith(_VERSION)], right)
    demand_recent(at, now)


def event_id(received: Received) -> str:
    """The id that is signed; empty if there is none."""
    return received.headers.get(f"{_prefix(received)}-id", "")


def _prefix(received: Received) -> str:
    """One for all three headers: an id under the other name would not be the one that is signed."""
    standard = f"{_STANDARD}-id" in received.headers or f"{_SVIX}-id" not in received.headers
    return _STANDARD if standard else _SVIX

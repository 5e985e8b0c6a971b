"""Stripe: one header with the time and a signature for each secret that holds.

https://docs.stripe.com/webhooks/signature#verify-manually
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from integrations.webhooks.received import Forged, Received
from integrations.webhooks.signatures import demand_one_of, demand_recent, whole_number

_HEADER = "stripe-signature"
_MOST = 20  # Stripe sends two while a secret is being replaced


def key(secret: str) -> bytes:
    """The secret itself, with the whsec_ in front."""
    return secret.encode()


def verify(received: Received, keys: Sequence[bytes], now: float) -> None:
    """Let pass what one of `keys` has signed about `now`. Raises Forged or Stale."""
    pairs = [part.strip().partition("=") for part in received.header(_HEADER).split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    signatures = [value for name, _, value in pairs if name == "v1"]
    if len(times) != 1 or not 0 < len(signatures) <= _MOST:
        raise Forged(f"The header {_HEADER} needs one t= and a v1= for each secret that holds.")
    at = whole_number(times[0])
    signed = times[0].encode() + b"." + received.body
    demand_one_of(signatures, [hmac.new(k, signed, "sha256").hexdigest().encode() for k in keys])
    demand_recent(at, now)

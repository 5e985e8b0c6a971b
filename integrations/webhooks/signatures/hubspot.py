"""HubSpot, version 3: method, address, body and time signed together, with the app's secret.

https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence

from integrations.webhooks.received import Received
from integrations.webhooks.signatures import demand_one_of, demand_recent, whole_number

_SIGNATURE = "x-hubspot-signature-v3"
_TIME = "x-hubspot-request-timestamp"
_PLAIN = {f"%{ord(c):02X}": c for c in ":/?@!$'()*,;"}
"""What HubSpot signs as it is although an address may have it encoded."""
_ENCODED = re.compile("|".join(_PLAIN), re.IGNORECASE)


def key(secret: str) -> bytes:
    """The app's client secret itself."""
    return secret.encode()


def verify(received: Received, keys: Sequence[bytes], now: float) -> None:
    """Let pass what one of `keys` has signed about `now`. Raises Forged or Stale."""
    given, time = received.header(_SIGNATURE), received.header(_TIME)
    milliseconds = whole_number(time)
    address = _ENCODED.sub(lambda found: _PLAIN[found[0].upper()], received.url)
    head = f"{received.method}{address}".encode("utf-8", "replace")
    signed = head + received.body + time.encode()
    demand_one_of([given], [base64.b64encode(hmac.digest(k, signed, "sha256")) for k in keys])
    demand_recent(milliseconds / 1000, now)

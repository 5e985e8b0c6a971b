"""GitHub: a signature of the body alone, so that it is good for ever.

What is sent again is therefore told by its body: no other header is signed, the delivery's id is
not either.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from integrations.webhooks.received import Received
from integrations.webhooks.signatures import demand_one_of

_HEADER = "x-hub-signature-256"


def key(secret: str) -> bytes:
    """The secret itself."""
    return secret.encode()


def verify(received: Received, keys: Sequence[bytes], now: float) -> None:
    """Let pass what one of `keys` has signed, whenever that was. Raises Forged."""
    right = [b"sha256=" + hmac.new(k, received.body, "sha256").hexdigest().encode() for k in keys]
    demand_one_of([received.header(_HEADER)], right)

"""What lies between Stripe's SDK and us: our socket below it, our errors and schemas above it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import stripe
from pydantic import BaseModel, PositiveInt

from integrations import http
from integrations.call import Call
from integrations.conf import PaymentsSettings
from integrations.errors import PartnerError
from integrations.schemas import Identifier

# Telemetry would write a file into the home directory and send our timings along.
stripe.enable_telemetry = False


class Socket(stripe.HTTPClient):
    """Carries the SDK's requests for one call, so that they end when the call must end."""

    name = "httpx2"

    def __init__(self, call: Call) -> None:
        super().__init__()
        self._call = call

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        **_: Any,
    ) -> tuple[str, int, Mapping[str, str]]:
        reply = http.send(self._call, method.upper(), url, headers=headers, content=post_data)
        if 200 <= reply.status < 300:
            # Garbage after a write is an unknown outcome; the SDK would take it for an error.
            http.parse(self._call, reply)
        return reply.body.decode(errors="replace"), reply.status, reply.headers


@contextmanager
def mapped(call: Call) -> Iterator[None]:
    """Turn the SDK's errors into what they mean for the effect.

    The originals are dropped: their messages may quote whole bodies.
    """
    try:
        yield
    except stripe.StripeError as error:
        raise _meaning(call, error) from None


class Resource:
    """What the client of each of Stripe's resources is made of."""

    def __init__(self, settings: PaymentsSettings) -> None:
        self._settings = settings

    def _sdk(self, call: Call) -> stripe.StripeClient:
        """The SDK for one call: its deadline is the socket's, and it never retries by itself."""
        return stripe.StripeClient(
            self._settings.payments_api_key.get_secret_value(),
            base_addresses={"api": str(self._settings.payments_api_base)},
            http_client=Socket(call),
            max_network_retries=0,
        )


def asked(operation: str, timeout: float, *, writes: bool = True) -> Call:
    """A call to Stripe, which makes one effect of what is written with the same key."""
    return Call.within(timeout, "payments", operation, writes=writes, keyed=writes)


class Ours(BaseModel):
    """Something that we made at Stripe and marked as ours in its metadata."""

    id: Identifier
    metadata: dict[str, str]

    @property
    def reference(self) -> str:
        """What it was made for."""
        return self.metadata.get("reference", "")

    def is_for(self, reference: str, key: str | None) -> bool:
        """Whether it was made for `reference`, and by the call with `key` if one is given."""
        same_key = key is None or self.metadata.get("key") == key
        return same_key and self.reference == reference


class Intent(Ours):
    """The part of Stripe's payment intent that we rely on."""

    amount: PositiveInt
    amount_received: int | None = None
    created: int
    currency: str
    status: str

    @property
    def holds(self) -> bool:
        """Whether the amount is held, or was held and taken."""
        return self.status in ("requires_capture", "succeeded")


def _meaning(call: Call, error: stripe.StripeError) -> PartnerError:
    status, reason = error.http_status, _reason(error)
    if status is None:
        return call.unknown(reason)
    if status == 409:
        # Another request with our key is at work, so this effect may yet happen.
        return call.unknown(f"answered 409 {reason}")
    return call.failure(status, error.headers or {}, reason)


def _reason(error: stripe.StripeError) -> str:
    """Codes only: Stripe's sentences may quote what the customer typed."""
    headers = error.headers or {}
    parts = [
        type(error).__name__,
        error.code,
        getattr(error.error, "decline_code", None),
        error.request_id,
    ]
    if headers.get("idempotent-replayed"):
        parts.append("(replayed: this key will only get this answer)")
    return " ".join(part for part in parts if part)

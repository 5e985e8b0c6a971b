"""What lies between Stripe's SDK and us: our socket below it, our errors and schemas above it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import stripe
from pydantic import BaseModel, PositiveInt

from integrations import http
from integrations.call import Call, retry_after
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
        how = {"headers": headers, "content": post_data, "failure": _failure}
        reply = http.send(self._call, method.upper(), url, **how)
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


class GivenBack(BaseModel):
    """The part of Stripe's refund that we rely on."""

    id: Identifier
    amount: PositiveInt
    metadata: dict[str, str] | None = None
    status: str

    @property
    def key(self) -> str:
        """That of the call of ours that made it; empty: others did."""
        return (self.metadata or {}).get("key", "")

    @property
    def stands(self) -> bool:
        """Whether the money is on its way, or there."""
        return self.status not in ("failed", "canceled")


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
    kind = error.error.type if error.error else None
    return _meant(call, status, error.headers or {}, (kind, error.code), reason)


def _failure(call: Call, reply: http.Reply) -> PartnerError:
    words = (http.word(reply, "error", "type"), http.word(reply, "error", "code"))
    return _meant(call, reply.status, reply.headers, words, words[1])


def _meant(
    call: Call,
    status: int,
    headers: Mapping[str, str],
    words: Sequence[str | None],
    reason: str,
) -> PartnerError:
    """What an error of Stripe's means; `words` are its type and code."""
    if status == 409 or _OTHER_REQUEST in words:
        # An earlier request with our key is at work, or was: its effect may be there, or yet come.
        return call.unknown(f"answered {status} {reason}")
    of_object = _LOCKED in words or headers.get(_LIMIT, "") == _LIMIT_OF_OBJECT
    if status == 429 and of_object:
        return call.unavailable(f"answered 429 {reason}", retry_after(headers))
    return call.failure(status, headers, reason)


_OTHER_REQUEST = "idempotency_error"
"""The type of the error of status 400 for a key that was used with other parameters."""
_LOCKED = "lock_timeout"
"""The code of a 429 about one object, which another request holds ..."""
_LIMIT, _LIMIT_OF_OBJECT = "stripe-rate-limited-reason", "resource-specific"
"""... and the header of one about how often one object may be changed. Neither is about how often
we ask: calls about others need not wait."""


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

"""A payment intent as Stripe shows it, and what Stripe's API refuses to do with one."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.service import Answer

HOLD_LIFETIME = 7 * 24 * 3600
"""Seconds after which an amount that was not captured is let go."""

CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation")


class Refusal(Exception):
    """The API's own refusal, with the fields of its error body."""

    saved = True

    def __init__(self, status: int, kind: str, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "code": code, "message": message, **more}


class Invalid(Refusal):
    """Parameters that fail validation: no execution begins, so the key keeps no answer."""

    saved = False

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(400, "invalid_request_error", code, message, param=param)


@dataclass(slots=True)
class Intent:
    """A payment intent with the ledger's numbers of what was done to it."""

    id: str
    amount: int
    currency: str
    metadata: Mapping[str, str]
    payment_method: str
    description: str | None
    created: int
    status: str = "requires_capture"
    charge: str | None = None
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    decline: Mapping[str, Any] | None = None
    authorized: int | None = None
    captured: int | None = None
    received: int = 0
    refunded: int = 0

    @property
    def lapses_at(self) -> float:
        """When a bank lets a hold go."""
        return self.created + HOLD_LIFETIME

    def body(self) -> dict[str, Any]:
        held = self.amount if self.status == "requires_capture" else 0
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": held,
            "amount_received": self.received,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": "manual",
            "client_secret": f"{self.id}_secret_sandbox",
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "description": self.description,
            "last_payment_error": self.decline,
            "latest_charge": self.charge,
            "livemode": False,
            "metadata": dict(self.metadata),
            "next_action": None,
            "payment_method": None if self.decline else self.payment_method,
            "payment_method_types": ["card"],
            "status": self.status,
        }


def check_new(params: Mapping[str, Any]) -> None:
    """Refuse what Stripe's validation refuses, and what this stand-in does not do."""
    for name in ("amount", "currency"):
        if name not in params:
            raise Invalid("parameter_missing", f"Missing required param: {name}.", name)
    positive(params["amount"], "amount")
    if params.get("capture_method") != "manual" or params.get("confirm") != "true":
        message = "This sandbox only confirms at once and captures manually."
        raise Invalid("parameter_invalid", message, "capture_method")
    if not str(params.get("payment_method", "")).startswith("pm_"):
        raise missing("PaymentMethod", str(params.get("payment_method", "")), "payment_method")
    _check_no_redirect(params)


def _check_no_redirect(params: Mapping[str, Any]) -> None:
    """Confirming at once needs a way back from a redirect, or methods that never redirect."""
    automatic = params.get("automatic_payment_methods", {})
    if not params.get("return_url") and automatic.get("allow_redirects") != "never":
        message = "Give a return_url, or only payment methods that never redirect."
        raise Invalid("parameter_missing", message, "return_url")


def decline_code(payment_method: str) -> str | None:
    """The decline that a test payment method stands for: pm_card_[brand_]chargeDeclined[Reason]."""
    if payment_method == "pm_card_authenticationRequired":
        return "authentication_required"
    _, declined, reason = payment_method.partition("chargeDeclined")
    if not declined:
        return None
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in reason).lstrip("_")
    return snake or "generic_decline"


def expect(intent: Intent, verb: str, statuses: tuple[str, ...]) -> None:
    """Refuse unless the intent is in one of `statuses`."""
    if intent.status not in statuses:
        message = (
            f"This PaymentIntent could not be {verb} because it has a status of {intent.status}. "
            f"Only one with these statuses may be {verb}: {', '.join(statuses)}."
        )
        raise Refusal(
            400,
            "invalid_request_error",
            "payment_intent_unexpected_state",
            message,
            payment_intent=intent.body(),
        )


def whole(text: object, param: str) -> int:
    """The whole number that a form's field says. Raises Invalid."""
    if not re.fullmatch(r"[0-9]{1,12}", str(text)):
        raise Invalid("parameter_invalid_integer", f"Invalid integer: {text}", param)
    return int(str(text))


def positive(text: object, param: str) -> int:
    """The amount that a form's field says. Raises Invalid."""
    amount = whole(text, param)
    if amount < 1:
        raise Invalid("parameter_invalid_integer", "Invalid positive integer", param)
    return amount


def missing(noun: str, object_id: str, param: str) -> Refusal:
    """The refusal of an id that names nothing."""
    message = f"No such {noun}: '{object_id}'"
    return Refusal(404, "invalid_request_error", "resource_missing", message, param=param)


_COMPARE: Mapping[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def created_within(params: Mapping[str, Any]) -> Callable[[int], bool]:
    """Whether a time is within the bounds that a list is asked for. Raises Invalid."""
    bounds = {
        name: whole(text, f"created[{name}]") for name, text in params.get("created", {}).items()
    }
    return lambda moment: all(_COMPARE[name](moment, bound) for name, bound in bounds.items())


def page(url: str, objects: list[dict[str, Any]], params: Mapping[str, Any]) -> Answer:
    """One page of a list: at most `limit` objects after the one named by `starting_after`."""
    limit = whole(params.get("limit", "10"), "limit")
    if not 1 <= limit <= 100:
        raise Invalid("parameter_invalid_integer", "Invalid integer: 1 to 100", "limit")
    ids = [item["id"] for item in objects]
    after = params.get("starting_after")
    if after is not None and after not in ids:
        raise missing("object", after, "starting_after")
    start = ids.index(after) + 1 if after is not None else 0
    page = objects[start : start + limit]
    more = start + limit < len(objects)
    return Answer(200, {"object": "list", "url": url, "has_more": more, "data": page})

"""What Stripe's operations take and answer, as far as the stand-in has them."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.sandbox.describe import (
    EMAIL,
    FLAG,
    NULLABLE_TEXT,
    TEXT,
    WHOLE,
    About,
    Schema,
    items,
    record,
)
from integrations.sandbox.money import CURRENCY

ERRORS = record({"error": record({"type": TEXT, "message": TEXT}, {"code": TEXT, "param": TEXT})})

_ID: Schema = {"type": "string", "minLength": 1}
_COUNT: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,11}$"}
_AMOUNT: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,7}$"}
_NUMBER: Schema = {"type": "string", "pattern": "^[0-9]{1,12}$"}
_VALUE: Schema = {"type": "string", "maxLength": 500}
_METADATA: Schema = {
    **record({}, {"reference": _VALUE, "key": _VALUE}),
    "additionalProperties": _VALUE,
    "propertyNames": {"minLength": 1, "maxLength": 40},
    "maxProperties": 50,
}
_TIMES: Schema = record({}, dict.fromkeys(("gt", "gte", "lt", "lte"), _NUMBER))


def _text(longest: int) -> Schema:
    return {"type": "string", "maxLength": longest}


_TOLD: Schema = {"type": "object", "additionalProperties": TEXT}
_STAMPED: Mapping[str, Schema] = {"id": TEXT, "object": TEXT, "created": WHOLE}
_PAGED: Mapping[str, Schema] = {
    "limit": {"type": "string", "pattern": "^([1-9]|[1-9][0-9]|100)$"},
    "starting_after": TEXT,
}


def _page(thing: Schema) -> Schema:
    return record(
        {"object": {"const": "list"}, "url": TEXT, "has_more": FLAG, "data": items(thing)}
    )


_INTENT = record(
    {
        **_STAMPED,
        "amount": WHOLE,
        "amount_received": WHOLE,
        "currency": TEXT,
        "metadata": _TOLD,
        "status": TEXT,
        "latest_charge": NULLABLE_TEXT,
        "payment_method": NULLABLE_TEXT,
        "livemode": {"const": False},
    }
)
_REFUND = record(
    {**_STAMPED, "amount": WHOLE, "metadata": _TOLD, "payment_intent": TEXT, "status": TEXT}
)
_NEW_INTENT = record(
    {
        "amount": _AMOUNT,
        "currency": {"type": "string", "pattern": CURRENCY},
        "payment_method": {"type": "string", "pattern": "^pm_"},
        "capture_method": {"const": "manual"},
        "confirm": {"const": "true"},
        "automatic_payment_methods": record(
            {"enabled": {"const": "true"}, "allow_redirects": {"const": "never"}}
        ),
    },
    {
        "description": _text(1000),
        "error_on_requires_action": {"const": "true"},
        "metadata": _METADATA,
        "return_url": TEXT,
    },
)
AUTHORIZE = About("Hold an amount on a card.", {200: _INTENT}, _NEW_INTENT, refuses=(402,))
LIST_INTENTS = About(
    "Intents, the newest first.",
    {200: _page(_INTENT)},
    record({}, {**_PAGED, "created": _TIMES}),
)
READ_INTENT = About("One intent.", {200: _INTENT})
CAPTURE = About(
    "Take the amount that is held, or a part of it; the rest is let go.",
    {200: _INTENT},
    record({}, {"amount_to_capture": _AMOUNT}),
)
_REASONS = ("duplicate", "fraudulent", "requested_by_customer")
CANCEL = About(
    "Let the amount go.",
    {200: _INTENT},
    record({}, {"cancellation_reason": {"enum": [*_REASONS, "abandoned"]}}),
)
REFUND = About(
    "Give back what was taken, or a part of what is left of it.",
    {200: _REFUND},
    record(
        {"payment_intent": _ID},
        {"amount": _AMOUNT, "metadata": _METADATA, "reason": {"enum": [*_REASONS]}},
    ),
)
LIST_REFUNDS = About(
    "Refunds, the newest first.",
    {200: _page(_REFUND)},
    record({}, {**_PAGED, "created": _TIMES, "payment_intent": TEXT}),
)
READ_REFUND = About("One refund.", {200: _REFUND})

_CUSTOMER = record(
    {
        **_STAMPED,
        "description": NULLABLE_TEXT,
        "email": NULLABLE_TEXT,
        "name": NULLABLE_TEXT,
        "phone": NULLABLE_TEXT,
        "metadata": _TOLD,
    }
)
_DELETED = record({"id": TEXT, "object": {"const": "customer"}, "deleted": {"const": True}})
_SUBSCRIPTION = record(
    {**_STAMPED, "customer": TEXT, "status": TEXT, "metadata": _TOLD, "items": record({})}
)
CREATE_CUSTOMER = About(
    "Make a customer.",
    {200: _CUSTOMER},
    record(
        {},
        {
            "email": {**_text(512), "pattern": EMAIL},
            "description": _text(350),
            "name": _text(256),
            "phone": _text(20),
            "metadata": _METADATA,
        },
    ),
)
LIST_CUSTOMERS = About(
    "Customers, the newest first.",
    {200: _page(_CUSTOMER)},
    record({}, {**_PAGED, "created": _TIMES, "email": TEXT}),
)
READ_CUSTOMER = About("One customer, or what is left.", {200: {"anyOf": [_CUSTOMER, _DELETED]}})
DELETE_CUSTOMER = About("Delete a customer for good.", {200: _DELETED})
CREATE_SUBSCRIPTION = About(
    "Let a customer pay for something again and again.",
    {200: _SUBSCRIPTION},
    record(
        {
            "customer": _ID,
            "items": record(
                {"0": record({"price": {"type": "string", "pattern": "^price_\\w+$"}})}
            ),
            "collection_method": {"const": "send_invoice"},
            "days_until_due": _COUNT,
        },
        {"metadata": _METADATA},
    ),
)
LIST_SUBSCRIPTIONS = About(
    "Subscriptions, the newest first.",
    {200: _page(_SUBSCRIPTION)},
    record({}, {**_PAGED, "created": _TIMES, "customer": TEXT}),
)
READ_SUBSCRIPTION = About("One subscription.", {200: _SUBSCRIPTION})
CANCEL_SUBSCRIPTION = About("End a subscription at once.", {200: _SUBSCRIPTION})

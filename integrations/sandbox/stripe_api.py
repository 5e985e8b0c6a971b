"""What Stripe's operations take and answer, as far as the stand-in has them."""

from __future__ import annotations

from collections.abc import Mapping

from integrations.sandbox.describe import (
    FLAG,
    NULLABLE_TEXT,
    TEXT,
    WHOLE,
    About,
    Schema,
    items,
    only,
    record,
)

ERRORS = record({"error": record({"type": TEXT, "message": TEXT}, {"code": TEXT, "param": TEXT})})

_ID: Schema = {"type": "string", "minLength": 1}
_COUNT: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,11}$"}
_NUMBER: Schema = {"type": "string", "pattern": "^[0-9]{1,12}$"}
_METADATA: Schema = {
    **record({}, {"reference": TEXT, "key": TEXT}),
    "additionalProperties": TEXT,
}
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
_REFUND = record({**_STAMPED, "amount": WHOLE, "payment_intent": TEXT, "status": TEXT})
_NEW_INTENT = only(
    {
        "amount": _COUNT,
        "currency": TEXT,
        "payment_method": {"type": "string", "pattern": "^pm_"},
        "capture_method": {"const": "manual"},
        "confirm": {"const": "true"},
        "automatic_payment_methods": record(
            {"enabled": {"const": "true"}, "allow_redirects": {"const": "never"}}
        ),
    },
    {"description": TEXT, "error_on_requires_action": {"const": "true"}, "metadata": _METADATA},
)
AUTHORIZE = About("Hold an amount on a card.", {200: _INTENT}, _NEW_INTENT, refuses=(402,))
LIST_INTENTS = About(
    "Intents, the newest first.",
    {200: _page(_INTENT)},
    record({}, {**_PAGED, "created": record({}, {"gte": _NUMBER})}),
)
READ_INTENT = About("One intent.", {200: _INTENT})
CAPTURE = About("Take the amount that is held.", {200: _INTENT})
CANCEL = About("Let the amount go.", {200: _INTENT})
REFUND = About("Give back what was taken.", {200: _REFUND}, only({"payment_intent": _ID}))
LIST_REFUNDS = About(
    "Refunds, the newest first.",
    {200: _page(_REFUND)},
    record({}, {**_PAGED, "payment_intent": TEXT}),
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
    only(
        {},
        {
            "email": {"type": "string", "pattern": "@"},
            "description": TEXT,
            "name": TEXT,
            "phone": TEXT,
            "metadata": _METADATA,
        },
    ),
)
LIST_CUSTOMERS = About(
    "Customers, the newest first.",
    {200: _page(_CUSTOMER)},
    record({}, {**_PAGED, "email": TEXT}),
)
READ_CUSTOMER = About("One customer, or what is left.", {200: {"anyOf": [_CUSTOMER, _DELETED]}})
DELETE_CUSTOMER = About("Delete a customer for good.", {200: _DELETED})
CREATE_SUBSCRIPTION = About(
    "Let a customer pay for something again and again.",
    {200: _SUBSCRIPTION},
    only(
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
    record({}, {**_PAGED, "customer": TEXT}),
)
READ_SUBSCRIPTION = About("One subscription.", {200: _SUBSCRIPTION})
CANCEL_SUBSCRIPTION = About("End a subscription at once.", {200: _SUBSCRIPTION})

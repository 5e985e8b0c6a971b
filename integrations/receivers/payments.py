"""The payment partner: how subscriptions stand, which changes without our asking.

Stripe delivers in no particular order, and its times have whole seconds. So the newest event of a
subscription counts; of one second, a deletion comes after a change and a change after the creation.
"""

from __future__ import annotations

from typing import Any

from integrations.webhooks.handlers import on
from integrations.webhooks.known import keep_newest
from integrations.webhooks.received import Event

_PREFIX = "customer.subscription."
_RANKS = {f"{_PREFIX}created": 0, f"{_PREFIX}deleted": 2}


@on(
    "payments",
    f"{_PREFIX}created",
    f"{_PREFIX}updated",
    f"{_PREFIX}paused",
    f"{_PREFIX}resumed",
    f"{_PREFIX}deleted",
    schema="payments/customer.subscription",
)
def subscription(event: Event, document: dict[str, Any]) -> str | None:
    """Keep how a subscription stands."""
    told = document["data"]["object"]
    state = {name: told.get(name) for name in ("status", "customer", "cancel_at_period_end")}
    if keep_newest(event, told["id"], state, rank=_RANKS.get(event.kind, 1)):
        return None
    return "A newer event had told how the subscription stands."

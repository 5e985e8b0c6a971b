"""Payments: hold an amount on a card, take it, give it back; customers and what they subscribe to.

The real client speaks to Stripe.
"""

from __future__ import annotations

from integrations.payments.schemas import (
    Authorization,
    Capture,
    Customer,
    Payments,
    Refund,
    Subscription,
    SubscriptionState,
)
from integrations.seam import Seam

__all__ = [
    "Authorization",
    "Capture",
    "Customer",
    "Payments",
    "Refund",
    "Subscription",
    "SubscriptionState",
    "connector",
    "use",
]


def _connect() -> Payments:
    # Only here: a process that never pays need not load the SDK, nor have a key.
    from integrations.payments.client import connect

    return connect()


_seam: Seam[Payments] = Seam(_connect)
connector = _seam.connector
use = _seam.use

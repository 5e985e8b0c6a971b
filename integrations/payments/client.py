"""The payment partner's client: Stripe's official SDK over our own bounded socket."""

from __future__ import annotations

from integrations.conf import PaymentsSettings, load
from integrations.payments.customers import StripeCustomers
from integrations.payments.intents import StripeIntents
from integrations.payments.subscriptions import StripeSubscriptions


def connect() -> StripePayments:
    """A client for the partner that the environment names."""
    return StripePayments(load(PaymentsSettings))


class StripePayments(StripeIntents, StripeCustomers, StripeSubscriptions):
    """Payments through Stripe's API, or through anything that speaks it."""

"""Subscriptions at Stripe: what a customer pays for again and again."""

from __future__ import annotations

import stripe

from integrations.call import Call
from integrations.payments.schemas import Subscription, SubscriptionState
from integrations.payments.sdk import Ours, Resource, asked, mapped

DAYS_UNTIL_DUE = 14
"""Days that a customer has to pay an invoice."""

_OVER = ("canceled", "incomplete_expired")


class StripeSubscriptions(Resource):
    """What the payment partner does with subscriptions."""

    def create_subscription(
        self, customer_id: str, price: str, reference: str, *, key: str, timeout: float
    ) -> Subscription:
        call = asked("create_subscription", timeout)
        with mapped(call):
            made = self._sdk(call).v1.subscriptions.create(
                {
                    "customer": customer_id,
                    "items": [{"price": price}],
                    # By invoice: a customer may subscribe before there is a card to charge.
                    "collection_method": "send_invoice",
                    "days_until_due": DAYS_UNTIL_DUE,
                    "metadata": {"reference": reference, "key": key},
                },
                {"idempotency_key": key},
            )
        subscription = _ours(call, made)
        if subscription.status in _OVER:
            raise call.unknown(f"left the subscription in status {subscription.status}")
        return _subscription(subscription)

    def cancel_subscription(self, subscription_id: str, *, key: str, timeout: float) -> None:
        # Stripe looks at no key of a DELETE: what is gone stays gone.
        call = asked("cancel_subscription", timeout)
        with mapped(call):
            try:
                self._sdk(call).v1.subscriptions.cancel(subscription_id)
            except stripe.InvalidRequestError as error:
                if error.http_status != 404:
                    raise

    def find_subscription(
        self, customer_id: str, reference: str, key: str | None = None, *, timeout: float
    ) -> Subscription | None:
        """Look through what the customer subscribes to; the list leaves out what was canceled."""
        call = asked("find_subscription", timeout, writes=False)
        with mapped(call):
            try:
                found = self._sdk(call).v1.subscriptions.list(
                    {"customer": customer_id, "limit": 100}
                )
                for each in found.auto_paging_iter():
                    subscription = _ours(call, each)
                    if subscription.is_for(reference, key) and subscription.status not in _OVER:
                        return _subscription(subscription)
            except stripe.InvalidRequestError as error:
                if error.code != "resource_missing":
                    raise
        return None

    def read_subscription(
        self, subscription_id: str, *, timeout: float
    ) -> SubscriptionState | None:
        call = asked("read_subscription", timeout, writes=False)
        with mapped(call):
            try:
                found = self._sdk(call).v1.subscriptions.retrieve(subscription_id)
            except stripe.InvalidRequestError as error:
                if error.code != "resource_missing":
                    raise
                return None
        return call.shape(SubscriptionState, found.to_dict())


class _Subscription(Ours):
    customer: str
    status: str


def _ours(call: Call, found: stripe.Subscription) -> _Subscription:
    return call.shape(_Subscription, found.to_dict())


def _subscription(found: _Subscription) -> Subscription:
    return Subscription(id=found.id, customer=found.customer, reference=found.reference)

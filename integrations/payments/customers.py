"""Customers at Stripe, whom subscriptions and saved cards belong to."""

from __future__ import annotations

import stripe

from integrations.call import Call
from integrations.payments.schemas import Customer
from integrations.payments.sdk import Ours, Resource, asked, mapped


class StripeCustomers(Resource):
    """What the payment partner does with customers."""

    def create_customer(
        self, email: str, name: str, reference: str, *, key: str, timeout: float
    ) -> Customer:
        call = asked("create_customer", timeout)
        with mapped(call):
            made = self._sdk(call).v1.customers.create(
                {
                    "email": email,
                    "name": name,
                    "metadata": {"reference": reference, "key": key},
                },
                {"idempotency_key": key},
            )
        return _customer(_ours(call, made))

    def delete_customer(self, customer_id: str, *, key: str, timeout: float) -> None:
        # Stripe looks at no key of a DELETE: what is gone stays gone.
        call = asked("delete_customer", timeout)
        with mapped(call):
            try:
                self._sdk(call).v1.customers.delete(customer_id)
            except stripe.InvalidRequestError as error:
                if error.http_status != 404:
                    raise

    def find_customer(
        self, email: str, reference: str, key: str | None = None, *, timeout: float
    ) -> Customer | None:
        """Look through the customers of that address, and not through search, which may lag."""
        call = asked("find_customer", timeout, writes=False)
        with mapped(call):
            found = self._sdk(call).v1.customers.list({"email": email, "limit": 100})
            for each in found.auto_paging_iter():
                customer = _ours(call, each)
                if customer.is_for(reference, key):
                    return _customer(customer)
        return None


def _ours(call: Call, found: stripe.Customer) -> Ours:
    return call.shape(Ours, found.to_dict())


def _customer(found: Ours) -> Customer:
    return Customer(id=found.id, reference=found.reference)

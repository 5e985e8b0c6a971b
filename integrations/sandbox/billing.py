"""Customers and subscriptions as Stripe shows them: made, listed, deleted, canceled."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from integrations.effects import Effect
from integrations.sandbox import stripe_api
from integrations.sandbox.describe import EMAIL
from integrations.sandbox.intents import Invalid, created_within, missing, page, whole
from integrations.sandbox.service import Answer, Request, Route, new_id

ROUTES = (
    Route.make("create_customer", "POST", "/v1/customers", stripe_api.CREATE_CUSTOMER),
    Route.make("find_customer", "GET", "/v1/customers", stripe_api.LIST_CUSTOMERS),
    Route.make("retrieve_customer", "GET", "/v1/customers/{id}", stripe_api.READ_CUSTOMER),
    Route.make("delete_customer", "DELETE", "/v1/customers/{id}", stripe_api.DELETE_CUSTOMER),
    Route.make("create_subscription", "POST", "/v1/subscriptions", stripe_api.CREATE_SUBSCRIPTION),
    Route.make("find_subscription", "GET", "/v1/subscriptions", stripe_api.LIST_SUBSCRIPTIONS),
    Route.make(
        "retrieve_subscription", "GET", "/v1/subscriptions/{id}", stripe_api.READ_SUBSCRIPTION
    ),
    Route.make(
        "cancel_subscription", "DELETE", "/v1/subscriptions/{id}", stripe_api.CANCEL_SUBSCRIPTION
    ),
)


@dataclass(slots=True)
class _Thing:
    body: dict[str, Any]
    made: int
    over: bool = False


class Billing:
    """The customers and subscriptions of one stand-in."""

    def __init__(self, effect: Callable[..., Effect]) -> None:
        self._effect = effect
        self._customers: dict[str, _Thing] = {}
        self._subscriptions: dict[str, _Thing] = {}
        self.operations: dict[str, Callable[[Request], Answer]] = {
            "create_customer": self._create_customer,
            "find_customer": self._list_customers,
            "retrieve_customer": self._retrieve_customer,
            "delete_customer": self._delete_customer,
            "create_subscription": self._create_subscription,
            "find_subscription": self._list_subscriptions,
            "retrieve_subscription": self._retrieve_subscription,
            "cancel_subscription": self._cancel_subscription,
        }

    def metadata(self, object_id: str) -> Mapping[str, str] | None:
        """What a customer or a subscription was marked with, None if there is none of that id."""
        thing = self._customers.get(object_id) or self._subscriptions.get(object_id)
        return thing.body["metadata"] if thing else None

    def clear(self) -> None:
        """Forget every object."""
        self._customers.clear()
        self._subscriptions.clear()

    # Customers

    def _create_customer(self, request: Request) -> Answer:
        email = request.params.get("email")
        if email is not None and not re.fullmatch(EMAIL, email):
            raise Invalid("email_invalid", f"Invalid email address: {email}", "email")
        body: dict[str, Any] = {
            "id": new_id("cus"),
            "object": "customer",
            "created": int(time.time()),
            "description": request.params.get("description"),
            "email": email,
            "livemode": False,
            "metadata": dict(request.params.get("metadata", {})),
            "name": request.params.get("name"),
            "phone": request.params.get("phone"),
        }
        effect = self._effect(request, "customer_created", body["id"])
        self._customers[body["id"]] = _Thing(body, effect.seq)
        return Answer(200, body, [effect])

    def _list_customers(self, request: Request) -> Answer:
        email = request.params.get("email")
        there = [c.body for c in reversed(self._customers.values()) if not c.over]
        # Unlike HubSpot and Firebase, Stripe tells upper from lower case.
        found = [body for body in there if email in (None, body["email"])]
        return page("/v1/customers", _in_time(found, request), request.params)

    def _retrieve_customer(self, request: Request) -> Answer:
        """A deleted customer can still be read, unlike other objects."""
        customer = self._customers.get(request.object_id)
        if customer is None:
            raise missing("customer", request.object_id, "id")
        return Answer(200, _deleted(customer) if customer.over else customer.body)

    def _delete_customer(self, request: Request) -> Answer:
        """Ends the customer's subscriptions, too."""
        customer = self._customer(request.object_id, "id")
        customer.over = True
        effects = [self._effect(request, "customer_deleted", request.object_id, customer.made)]
        for subscription in self._of(request.object_id):
            effects.append(self._cancel(request, subscription))
        return Answer(200, _deleted(customer), effects)

    def _customer(self, customer_id: str, param: str) -> _Thing:
        customer = self._customers.get(customer_id)
        if customer is None or customer.over:
            raise missing("customer", customer_id, param)
        return customer

    # Subscriptions

    def _create_subscription(self, request: Request) -> Answer:
        params = request.params
        for name in ("customer", "items"):
            if not params.get(name):
                raise Invalid("parameter_missing", f"Missing required param: {name}.", name)
        customer = self._customer(params["customer"], "customer")
        # A form's list: {"0": {"price": …}}.
        price = str(params["items"].get("0", {}).get("price", ""))
        if not price.startswith("price_"):
            raise missing("price", price, "items[0][price]")
        if params.get("collection_method") != "send_invoice":
            message = "This customer has no attached payment source or default payment method."
            raise Invalid("resource_missing", message, "")
        if not params.get("days_until_due"):
            message = "You must set days_until_due for subscriptions that send invoices."
            raise Invalid("parameter_missing", message, "days_until_due")
        body = _subscription(customer.body["id"], price, params)
        effect = self._effect(request, "subscription_created", body["id"])
        self._subscriptions[body["id"]] = _Thing(body, effect.seq)
        return Answer(200, body, [effect])

    def _list_subscriptions(self, request: Request) -> Answer:
        """Without a status asked for, those that are not canceled."""
        customer = request.params.get("customer")
        there = [s.body for s in reversed(self._subscriptions.values()) if not s.over]
        found = [body for body in there if customer in (None, body["customer"])]
        return page("/v1/subscriptions", _in_time(found, request), request.params)

    def _retrieve_subscription(self, request: Request) -> Answer:
        subscription = self._subscriptions.get(request.object_id)
        if subscription is None:
            raise missing("subscription", request.object_id, "id")
        return Answer(200, subscription.body)

    def _cancel_subscription(self, request: Request) -> Answer:
        subscription = self._subscriptions.get(request.object_id)
        if subscription is None or subscription.over:
            raise missing("subscription", request.object_id, "id")
        return Answer(200, subscription.body, [self._cancel(request, subscription)])

    def _of(self, customer_id: str) -> Collection[_Thing]:
        there = self._subscriptions.values()
        return [s for s in there if s.body["customer"] == customer_id and not s.over]

    def _cancel(self, request: Request, subscription: _Thing) -> Effect:
        subscription.over = True
        subscription.body |= {"status": "canceled", "canceled_at": int(time.time())}
        effect = self._effect(
            request, "subscription_canceled", subscription.body["id"], subscription.made
        )
        # Its own, also where it ends with its customer.
        return replace(effect, reference=subscription.body["metadata"].get("reference", ""))


def _in_time(found: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    within = created_within(request.params)
    return [body for body in found if within(body["created"])]


def _deleted(customer: _Thing) -> dict[str, Any]:
    return {"id": customer.body["id"], "object": "customer", "deleted": True}


def _subscription(customer_id: str, price: str, params: Mapping[str, Any]) -> dict[str, Any]:
    item = {"id": new_id("si"), "object": "subscription_item", "price": {"id": price}}
    return {
        "id": new_id("sub"),
        "object": "subscription",
        "cancel_at_period_end": False,
        "canceled_at": None,
        "collection_method": "send_invoice",
        "created": int(time.time()),
        "customer": customer_id,
        "days_until_due": whole(params["days_until_due"], "days_until_due"),
        "items": {"object": "list", "data": [item], "has_more": False},
        "livemode": False,
        "metadata": dict(params.get("metadata", {})),
        "status": "active",
    }

"""The partners' fakes in the place of their connectors, and what one step is called with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from integrations import (
    accounts,
    analytics,
    hubspot,
    inventory,
    notifications,
    payments,
    shipping,
    slack,
)
from integrations.accounts.fake import FakeAccounts
from integrations.analytics.fake import FakeAnalytics
from integrations.effects import Problem
from integrations.fakes import Fake
from integrations.hubspot.fake import FakeHubSpot
from integrations.inventory.fake import FakeInventory
from integrations.notifications.fake import FakeNotifications
from integrations.payments.fake import FakePayments
from integrations.sagas.customer_registration import Registration
from integrations.sagas.customer_registration import key_of as registration_key
from integrations.sagas.order_fulfilment import Order
from integrations.shipping.fake import FakeShipping
from integrations.slack.fake import FakeSlack
from sagas.api import Run


@dataclass
class Partners:
    """All partners, in this process."""

    inventory: FakeInventory = field(default_factory=FakeInventory)
    payments: FakePayments = field(default_factory=FakePayments)
    shipping: FakeShipping = field(default_factory=FakeShipping)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    hubspot: FakeHubSpot = field(default_factory=FakeHubSpot)
    analytics: FakeAnalytics = field(default_factory=FakeAnalytics)
    slack: FakeSlack = field(default_factory=FakeSlack)

    @property
    def all(self) -> list[Fake]:
        return [getattr(self, each.name) for each in fields(self)]

    def effects(self) -> list[str]:
        return [effect.kind for fake in self.all for effect in fake.effects]

    def doubles(self) -> list[Problem]:
        return [problem for fake in self.all for problem in fake.audit()]


@contextmanager
def fake_partners() -> Iterator[Partners]:
    """Let the saga's steps meet fakes for the length of the block."""
    fakes = Partners()
    with ExitStack() as stack:
        stack.enter_context(inventory.use(fakes.inventory))
        stack.enter_context(payments.use(fakes.payments))
        stack.enter_context(shipping.use(fakes.shipping))
        stack.enter_context(notifications.use(fakes.notifications))
        stack.enter_context(accounts.use(fakes.accounts))
        stack.enter_context(hubspot.use(fakes.hubspot))
        stack.enter_context(analytics.use(fakes.analytics))
        stack.enter_context(slack.use(fakes.slack))
        yield fakes


def an_order() -> Order:
    """An order that nothing is wrong with."""
    return Order(
        order_id=uuid4(),
        email="ann@example.com",
        address="1 Main Street",
        sku="mug",
        quantity=2,
        amount=2900,
        currency="eur",
        payment_method="pm_card_visa",
    )


def a_registration() -> Registration:
    """A registration that nothing is wrong with."""
    return Registration(registration_id=uuid4(), name="Ann Smith", email="ann@example.com")


Payload = TypeVar("Payload", Order, Registration)


def run_of(
    payload: Payload, *, key: str = "k", result: Any = None, remaining: float = 5.0, **results: Any
) -> Run[Payload]:
    """What a step's function of the payload's run is called with."""
    if isinstance(payload, Registration):
        saga, business_key = "customer-registration", registration_key(payload.registration_id)
    else:
        saga, business_key = "order-fulfilment", f"order:{payload.order_id}"
    return Run(
        id=uuid4(),
        saga=saga,
        business_key=business_key,
        payload=payload,
        results=results,
        key=key,
        attempt=1,
        result=result,
        now=datetime.now(UTC),
        started_at=datetime.now(UTC) - timedelta(minutes=1),
        elapsed=0.0,
        clock=lambda: remaining,
    )

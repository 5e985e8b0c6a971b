"""The partners' fakes in the place of their connectors, and what one step is called with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from integrations import inventory, notifications, payments, shipping
from integrations.effects import Problem
from integrations.fakes import Fake
from integrations.inventory.fake import FakeInventory
from integrations.notifications.fake import FakeNotifications
from integrations.payments.fake import FakePayments
from integrations.sagas.order_fulfilment import Order
from integrations.shipping.fake import FakeShipping
from sagas.api import Run


@dataclass
class Partners:
    """All partners, in this process."""

    inventory: FakeInventory = field(default_factory=FakeInventory)
    payments: FakePayments = field(default_factory=FakePayments)
    shipping: FakeShipping = field(default_factory=FakeShipping)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)

    @property
    def all(self) -> list[Fake]:
        return [self.inventory, self.payments, self.shipping, self.notifications]

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


def run_of(
    order: Order, *, key: str = "k", result: Any = None, remaining: float = 5.0, **results: Any
) -> Run[Order]:
    """What a step's function of the order's run is called with."""
    return Run(
        id=uuid4(),
        saga="order-fulfilment",
        business_key=f"order:{order.order_id}",
        payload=order,
        results=results,
        key=key,
        attempt=1,
        result=result,
        now=datetime.now(UTC),
        elapsed=0.0,
        clock=lambda: remaining,
    )

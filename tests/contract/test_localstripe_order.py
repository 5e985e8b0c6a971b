"""A whole order with somebody else's Stripe as the payment partner, on the real engine."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from integrations import inventory, notifications, shipping
from integrations import payments as partner
from integrations.inventory.fake import FakeInventory
from integrations.notifications.fake import FakeNotifications
from integrations.payments.client import StripePayments
from integrations.sagas.order_fulfilment import Order, order_fulfilment
from integrations.shipping.fake import FakeShipping
from sagas.api import start
from sagas.models import Run
from sagas.testing.post import Post


@pytest.mark.django_db(transaction=True)
def test_an_order_is_paid_at_localstripe(tmp_path: Path, payments: StripePayments) -> None:
    order = Order(
        order_id=uuid4(),
        email="ann@example.com",
        address="1 Long Street",
        sku="mug",
        quantity=1,
        amount=1450,
        currency="eur",
        payment_method="pm_card_visa",
    )
    with (
        partner.use(payments),
        inventory.use(FakeInventory()),
        shipping.use(FakeShipping()),
        notifications.use(FakeNotifications()),
        Post(tmp_path / "post").open() as post,
    ):
        started = start(order_fulfilment, order, key=f"order:{order.order_id}")
        while post.deliver():
            pass
        run = Run.objects.get(id=started.id)
        assert run.status == "succeeded", list(run.steps.values_list("name", "status", "error"))
        taken = run.steps.get(name="capture_payment").result
        assert taken is not None
        assert payments.find_capture(taken["id"], timeout=10) is not None

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations.sagas.order_fulfilment import order_fulfilment
from sagas.api import start
from tests.integrations.test_models import an_order

pytestmark = pytest.mark.django_db


def test_staff_read_orders_with_the_status_of_their_runs(admin_client: Client) -> None:
    order = an_order()
    order.save()
    start(order_fulfilment, order.payload(), key=order.key)
    page = admin_client.get(reverse("admin:integrations_order_changelist")).content.decode()
    assert str(order.pk) in page
    assert "pending" in page


def test_an_order_can_be_looked_at_but_not_changed(admin_client: Client) -> None:
    order = an_order()
    order.save()
    address = reverse("admin:integrations_order_change", args=[order.pk])
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"email": "b@example.com"}).status_code == 403
    assert admin_client.get(reverse("admin:integrations_order_add")).status_code == 403
    gone = reverse("admin:integrations_order_delete", args=[order.pk])
    assert admin_client.post(gone, {"post": "yes"}).status_code == 403
    order.refresh_from_db()
    assert order.email == "ann@example.com"

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from integrations.models import Order
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.views import orders
from sagas.api import start
from sagas.models import Run
from tests.integrations.test_forms import FILLED_IN
from tests.integrations.test_models import an_order
from tests.integrations.views.test_pages import needs_the_sites_own_files_only

pytestmark = pytest.mark.django_db


def sent(**changes: str) -> dict[str, str]:
    return {**FILLED_IN, "submission": str(uuid4()), **changes}


def placed(**details: object) -> Order:
    return orders.place(an_order(**details))[0]


# --- an order is a row, written with its run -------------------------------------------------


def test_an_order_is_written_with_its_run(client: Client) -> None:
    client.post("/", sent())
    order = Order.objects.get()
    run = Run.objects.get(saga="order-fulfilment", business_key=order.key)
    assert order_fulfilment.validated(run.payload) == order.payload()


def test_what_fails_after_the_start_leaves_neither_order_nor_run(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start_and_fail(*args: Any, **kwargs: Any) -> None:
        assert start(*args, **kwargs).created
        raise RuntimeError("after the start")

    monkeypatch.setattr(orders, "start", start_and_fail)
    client.raise_request_exception = False
    assert client.post("/", sent()).status_code == 500
    assert (Order.objects.count(), Run.objects.count()) == (0, 0)


def test_the_same_form_with_other_entries_leaves_the_order_as_it_was(client: Client) -> None:
    form = sent()
    client.post("/", form)
    assert client.post("/", {**form, "quantity": "3"}).status_code == 409
    assert Order.objects.get().quantity == 2


def test_the_page_shows_what_was_ordered(client: Client) -> None:
    page = client.get(reverse("shop:order", args=[placed().pk])).content.decode()
    assert "Mug, stoneware" in page
    assert "29.00 EUR" in page


def test_an_order_without_a_row_is_not_found_though_there_is_a_run(client: Client) -> None:
    order = placed()
    Order.objects.all().delete()
    assert client.get(reverse("shop:order", args=[order.pk])).status_code == 404


# --- the staff's list ------------------------------------------------------------------------


def test_only_the_staff_see_all_orders(client: Client, django_user_model: Any) -> None:
    placed()
    client.force_login(django_user_model.objects.create_user("ann"))
    answer = client.get(reverse("shop:orders"))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))


def test_the_list_shows_the_last_orders_in_a_fixed_number_of_statements(
    admin_client: Client, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "LISTED", 3)
    placed_orders = [placed() for _ in range(5)]
    with django_assert_num_queries(3):  # session, user, orders
        page = admin_client.get(reverse("shop:orders")).content.decode()
    shown = [order.pk for order in placed_orders if str(order.pk) in page]
    assert len(shown) == 3
    assert page.count("pending") == 3


def test_the_list_needs_no_more_than_the_sites_own_files(admin_client: Client) -> None:
    placed()
    assert needs_the_sites_own_files_only(admin_client.get(reverse("shop:orders")))

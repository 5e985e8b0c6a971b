from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from integrations.models import Order
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.views import orders
from sagas.api import start
from sagas.models import Run
from tests.integrations.test_forms import FILLED_IN
from tests.integrations.test_models import an_order

pytestmark = pytest.mark.django_db


def sent(**changes: str) -> dict[str, str]:
    return {**FILLED_IN, "submission": str(uuid4()), **changes}


def placed(**details: object) -> Order:
    return orders.place(an_order(**details))


def run_of(order: Order) -> Run:
    return Run.objects.get(saga="order-fulfilment", business_key=order.key)


# --- ordering --------------------------------------------------------------------------------


def test_an_order_is_written_with_its_run_and_leads_to_its_page(client: Client) -> None:
    answer = client.post("/", sent())
    order = Order.objects.get()
    assert answer["Location"] == reverse("shop:order", args=[order.pk])
    run = run_of(order)
    assert run.status == "pending"
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


def test_a_form_that_is_sent_twice_orders_once(client: Client) -> None:
    form = sent()
    first, second = client.post("/", form), client.post("/", form)
    assert first["Location"] == second["Location"]
    assert (Order.objects.count(), Run.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_a_form_that_is_sent_many_times_at_once_orders_once() -> None:
    form = sent()

    def send(_: int) -> str:
        try:
            return Client().post("/", form)["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        locations = set(threads.map(send, range(4)))
    assert len(locations) == 1
    assert (Order.objects.count(), Run.objects.count()) == (1, 1)


def test_a_form_that_is_sent_again_with_other_entries_is_asked_about(client: Client) -> None:
    form = sent()
    first = client.post("/", form)["Location"]
    answer = client.post("/", {**form, "quantity": "3"})
    assert answer.status_code == 409
    page = answer.content.decode()
    assert first in page
    assert form["submission"] not in page
    assert Order.objects.get().quantity == 2


@pytest.mark.parametrize(
    ("field", "value"), [("email", "nobody"), ("quantity", "0"), ("sku", "x"), ("address", "")]
)
def test_a_wrong_entry_is_refused_beside_its_field(client: Client, field: str, value: str) -> None:
    answer = client.post("/", sent(**{field: value}))
    assert answer.status_code == 400
    page = answer.content.decode()
    assert f'aria-describedby="id_{field}' in page
    assert f'href="#id_{field}"' in page
    assert (Order.objects.count(), Run.objects.count()) == (0, 0)


def test_what_was_typed_is_kept_and_cannot_become_markup(client: Client) -> None:
    page = client.post("/", sent(address="<script>x</script>", email="?")).content.decode()
    assert "&lt;script&gt;x&lt;/script&gt;" in page
    assert "<script>x" not in page


def test_a_form_from_elsewhere_is_refused() -> None:
    answer = Client(enforce_csrf_checks=True).post("/", sent())
    assert answer.status_code == 403
    assert "Nothing was ordered" in answer.content.decode()
    assert not Order.objects.exists()


def test_ordering_takes_a_fixed_number_of_statements(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        client.get("/")
    # Is it known? Write it; four words on savepoints. The engine's one is not in Django's log.
    with django_assert_num_queries(6):
        client.post("/", sent())


# --- watching --------------------------------------------------------------------------------


def test_the_page_shows_the_order_and_nothing_of_what_lies_behind(client: Client) -> None:
    order = placed()
    run = run_of(order)
    run.steps.update(error="PartnerUnknown: payments pi_123", worker="host/1")
    page = client.get(reverse("shop:order", args=[order.pk])).content.decode()
    assert "Mug, stoneware" in page
    assert "29.00 EUR" in page
    for hidden in ("pi_123", "host/1", str(run.pk), order.email, order.address, "pm_card"):
        assert hidden not in page


@pytest.mark.parametrize("name", ["shop:order", "shop:progress"])
def test_an_order_that_does_not_exist_is_not_found(client: Client, name: str) -> None:
    placed()
    answer = client.get(reverse(name, args=[uuid4()]))
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_the_fragment_is_sent_only_when_it_has_changed(client: Client) -> None:
    order = placed()
    page = client.get(reverse("shop:order", args=[order.pk])).content.decode()
    found = re.search(r'data-etag="&quot;([^&]+)&quot;"', page)
    assert found is not None
    known = {"If-None-Match": f'"{found[1]}"'}
    address = reverse("shop:progress", args=[order.pk])
    assert client.get(address, headers=known).status_code == 304
    Run.objects.filter(business_key=order.key).update(revision=7)
    changed = client.get(address, headers=known)
    assert changed.status_code == 200
    assert client.get(address, headers={"If-None-Match": changed["ETag"]}).status_code == 304


def test_watching_takes_a_fixed_number_of_statements(
    client: Client, django_assert_num_queries: Any
) -> None:
    order = placed()
    with django_assert_num_queries(3):  # order, run, steps
        client.get(reverse("shop:order", args=[order.pk]))
    address = reverse("shop:progress", args=[order.pk])
    with django_assert_num_queries(2):  # run, steps
        etag = client.get(address)["ETag"]
    with django_assert_num_queries(1):  # run
        client.get(address, headers={"If-None-Match": etag})


def test_a_finished_order_is_asked_about_no_more(client: Client) -> None:
    order = placed()
    address = reverse("shop:order", args=[order.pk])
    running = client.get(address).content.decode()
    assert "progress.js" in running
    assert "Refresh this page" in running
    Run.objects.update(status="succeeded", finished_at="2026-01-01T00:00Z")
    finished = client.get(address).content.decode()
    assert "progress.js" not in finished
    assert "Refresh this page" not in finished
    assert "data-final" in client.get(reverse("shop:progress", args=[order.pk])).content.decode()


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


# --- all pages -------------------------------------------------------------------------------


class _Inline(HTMLParser):
    """Collects what `default-src 'self'` would block."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in given):
            self.found.append(tag)
        self.found += [name for name in given if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            if (given.get(name) or "").startswith(("http", "//", "data:")):
                self.found.append(f"{name}={given[name]}")


def test_no_page_needs_more_than_the_sites_own_files(admin_client: Client) -> None:
    order = placed()
    answers = [
        admin_client.get("/"),
        admin_client.post("/", sent(email="?")),
        admin_client.get(reverse("shop:order", args=[order.pk])),
        admin_client.get(reverse("shop:progress", args=[order.pk])),
        admin_client.get(reverse("shop:orders")),
        admin_client.get(reverse("shop:order", args=[uuid4()])),
        Client(enforce_csrf_checks=True).post("/", sent()),
    ]
    for answer in answers:
        assert "default-src 'self'" in answer["Content-Security-Policy"]
        parser = _Inline()
        parser.feed(answer.content.decode())
        assert parser.found == []

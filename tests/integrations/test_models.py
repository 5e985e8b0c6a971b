from __future__ import annotations

import re
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection

from integrations.catalogue import CATALOGUE, price
from integrations.models import Order, key_of
from integrations.sagas.order_fulfilment import order_fulfilment
from sagas.api import start
from sagas.models import Run
from sagas.states import RunStatus


def an_order(**details: object) -> Order:
    """An order that is not stored yet."""
    defaults = {
        "submission": uuid4(),
        "email": "ann@example.com",
        "address": "1 Main Street",
        "sku": "mug",
        "quantity": 2,
        "amount": 2900,
        "currency": "eur",
        "payment_method": "pm_card_visa",
    }
    return Order(**{**defaults, **details})


def test_the_payload_is_all_that_the_customer_chose() -> None:
    order = an_order()
    assert order.payload().model_dump() == {"order_id": order.pk, **order.details()}


def test_a_product_that_is_sold_no_more_is_named_by_its_number() -> None:
    assert an_order(sku="mug").product_name == CATALOGUE["mug"].name
    assert an_order(sku="gone").product_name == "gone"


@pytest.mark.parametrize(
    ("amount", "written"), [(5, "0.05 EUR"), (2900, "29.00 EUR"), (123456, "1234.56 EUR")]
)
def test_amounts_are_written_with_both_decimals(amount: int, written: str) -> None:
    assert price(amount) == written


@pytest.mark.django_db
@pytest.mark.parametrize("status", RunStatus)
def test_an_orders_status_is_that_of_its_run(status: RunStatus) -> None:
    order, other = an_order(), an_order()
    for each in (order, other):
        each.save()
        start(order_fulfilment, each.payload(), key=each.key)
    over = status in (RunStatus.SUCCEEDED, RunStatus.COMPENSATED, RunStatus.RESOLVED)
    Run.objects.filter(business_key=order.key).update(
        status=status, attention="?", finished_at="2026-01-01T00:00Z" if over else None
    )
    found = Order.objects.with_status().get(pk=order.pk)
    assert found.status == status
    assert found.status_words == status.replace("_", " ")
    assert Order.objects.with_status().get(pk=other.pk).status == "pending"


@pytest.mark.django_db
def test_an_order_whose_run_is_gone_has_no_known_status() -> None:
    an_order().save()
    found = Order.objects.with_status().get()
    assert (found.status, found.status_words) == (None, "unknown")


@pytest.mark.django_db
def test_the_status_is_found_through_the_index_of_keys() -> None:
    running = {"version": 1, "payload": {}, "status": RunStatus.RUNNING}
    Run.objects.bulk_create(
        Run(saga=saga, business_key=key_of(uuid4()), **running)
        for saga in (order_fulfilment.name, "other")
        for _ in range(1000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sagas_run")
    plan = Order.objects.with_status().explain()
    assert re.search("sagas_run_(once|key_prefix)", plan)
    assert "Index Cond" in plan
    assert "business_key" in plan.partition("Index Cond")[2].splitlines()[0]


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"quantity": 0}, {"amount": 0}])
def test_the_database_refuses_an_order_of_nothing(wrong: dict[str, int]) -> None:
    with pytest.raises(IntegrityError, match="integrations_order_positive"):
        an_order(**wrong).save()


@pytest.mark.django_db
def test_the_database_refuses_a_second_order_from_one_form() -> None:
    order = an_order()
    order.save()
    with pytest.raises(IntegrityError, match="submission"):
        an_order(submission=order.submission).save()


def test_an_orders_key_names_it() -> None:
    order = an_order()
    assert order.key == key_of(order.pk) == f"order:{order.pk}"

from __future__ import annotations

from uuid import uuid4

import pytest

from integrations.catalogue import CATALOGUE
from integrations.forms import TEST_CARDS, OrderForm

FILLED_IN = {
    "sku": "mug",
    "quantity": "2",
    "email": "ann@example.com",
    "address": "1 Main Street",
    "payment_method": "pm_card_visa",
}


def filled_in(**changes: str) -> OrderForm:
    return OrderForm({**FILLED_IN, "submission": str(uuid4()), **changes})


def test_the_amount_is_the_shops_price_and_not_the_customers() -> None:
    form = filled_in(amount="1")
    assert form.is_valid()
    assert form.order.amount == 2 * CATALOGUE["mug"].price


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sku", "nothing we sell"),
        ("sku", ""),
        ("quantity", "0"),
        ("quantity", "100"),
        ("quantity", "many"),
        ("email", "nobody"),
        ("email", "ann@localhost"),  # Django takes it, the saga does not
        ("address", " "),
        ("address", "x" * 501),
        ("address", "1 Main\x00 Street"),
        ("payment_method", "4242424242424242"),
        ("submission", "once"),
        ("submission", ""),
    ],
)
def test_a_wrong_entry_is_told_beside_its_field_and_nowhere_else(field: str, value: str) -> None:
    form = filled_in(**{field: value})
    assert not form.is_valid()
    assert list(form.errors) == [field]


@pytest.mark.parametrize("card", [card for card, _ in TEST_CARDS])
@pytest.mark.parametrize("sku", CATALOGUE)
def test_everything_on_offer_can_be_ordered(card: str, sku: str) -> None:
    form = filled_in(payment_method=card, sku=sku, quantity="99")
    assert form.is_valid(), form.errors


def test_every_form_is_an_order_of_its_own() -> None:
    first, second = (OrderForm()["submission"].value() for _ in range(2))
    assert first != second


def test_ordering_again_keeps_the_entries_and_is_another_order() -> None:
    form = filled_in()
    assert form.is_valid()
    again = form.again()
    assert again["email"].value() == "ann@example.com"
    assert again["submission"].value() != form.order.submission

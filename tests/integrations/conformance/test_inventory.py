"""What holds for inventory in particular, fake or real."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integrations.errors import PartnerRefused
from integrations.inventory import Inventory
from tests.integrations.conformance.rig import Rig


@pytest.fixture
def rig(rigs: Callable[[str], Rig]) -> Rig:
    return rigs("inventory")


def test_a_reservation_says_what_is_held(rig: Rig) -> None:
    held = rig.client.reserve("tea", 2, rig.reference, key=rig.reference, timeout=10.0)
    assert (held.sku, held.quantity, held.reference) == ("tea", 2, rig.reference)


def test_more_than_there_is_cannot_be_held(rig: Rig) -> None:
    inventory: Inventory = rig.client
    sku = f"sku-{rig.reference}"
    rig.set_stock(sku, 3)
    first = inventory.reserve(sku, 2, rig.reference, key=f"1{sku}", timeout=10.0)
    with pytest.raises(PartnerRefused, match="out_of_stock"):
        inventory.reserve(sku, 2, rig.reference, key=f"2{sku}", timeout=10.0)
    inventory.release(first.id, key=f"u{sku}", timeout=10.0)
    inventory.reserve(sku, 3, rig.reference, key=f"3{sku}", timeout=10.0)
    assert rig.effects() == ["reserved", "released", "reserved"]


def test_a_refusal_is_remembered_under_its_key(rig: Rig) -> None:
    inventory: Inventory = rig.client
    sku = f"sku-{rig.reference}"
    rig.set_stock(sku, 0)
    with pytest.raises(PartnerRefused):
        inventory.reserve(sku, 1, rig.reference, key=sku, timeout=10.0)
    rig.set_stock(sku, 1)
    with pytest.raises(PartnerRefused):
        inventory.reserve(sku, 1, rig.reference, key=sku, timeout=10.0)

from uuid import uuid4

import pytest
from django.urls import NoReverseMatch, resolve, reverse


def test_the_shop_is_the_sites_first_page() -> None:
    assert resolve("/").view_name == "shop:shop"


@pytest.mark.parametrize("name", ["shop:order", "shop:progress"])
def test_an_order_has_an_address_by_its_whole_id_only(name: str) -> None:
    order_id = uuid4()
    assert str(order_id) in reverse(name, args=[order_id])
    with pytest.raises(NoReverseMatch):
        reverse(name, args=[17])

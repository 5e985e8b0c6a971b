from uuid import uuid4

import pytest
from django.urls import NoReverseMatch, resolve, reverse


def test_the_shop_is_the_sites_first_page() -> None:
    assert resolve("/").view_name == "shop:shop"


@pytest.mark.parametrize("part", ["", "-progress"])
@pytest.mark.parametrize("page", ["order", "registration", "lead"])
def test_a_page_has_an_address_by_its_whole_number_only(page: str, part: str) -> None:
    number = uuid4()
    assert str(number) in reverse(f"shop:{page}{part}", args=[number])
    with pytest.raises(NoReverseMatch):
        reverse(f"shop:{page}{part}", args=[17])

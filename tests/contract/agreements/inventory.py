"""What we agreed on with the warehouse's reservation service."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest

from integrations.conf import InventorySettings
from integrations.errors import PartnerRefused, PartnerUnavailable
from integrations.inventory.client import HttpInventory, connect
from integrations.inventory.schemas import Reservation
from tests.contract.terms import (
    KEY,
    REFERENCE,
    TIMEOUT,
    Agreement,
    Partner,
    from_state,
    list_of,
    overloaded,
    path_of,
    reference,
    text,
    whole,
)

_HELD = Reservation(id="rsv_1", sku="tea", quantity=2, reference=REFERENCE)
_WANTED = {"sku": "tea", "quantity": 2, "reference": reference()}
_ANSWER = {
    "id": text("rsv_1"),
    "sku": "tea",
    "quantity": whole(2),
    "reference": text(REFERENCE),
    "status": "reserved",
}
_RELEASE = path_of(
    "/reservations/rsv_1/release", r"^/reservations/[\w-]+/release$", "/reservations/${id}/release"
)


def _client(address: str) -> HttpInventory:
    return HttpInventory(InventorySettings(inventory_url=address))


def _reserve(address: str) -> Reservation:
    return _client(address).reserve("tea", 2, REFERENCE, key="key-1", timeout=TIMEOUT)


def _reserves(address: str) -> None:
    assert _reserve(address) == _HELD


def _is_out_of_stock(address: str) -> None:
    with pytest.raises(PartnerRefused, match="409 out_of_stock"):
        _reserve(address)


def _is_turned_away(address: str) -> None:
    with pytest.raises(PartnerUnavailable) as caught:
        _reserve(address)
    assert caught.value.retry_after == 7


def _releases(address: str) -> None:
    _client(address).release("rsv_1", key="key-1", timeout=TIMEOUT)


def _finds(address: str) -> None:
    assert _client(address).find(REFERENCE, timeout=TIMEOUT) == _HELD


def _finds_nothing(address: str) -> None:
    assert _client(address).find(REFERENCE, timeout=TIMEOUT) is None


def _reserved() -> Mapping[str, str]:
    wanted = f"order:{uuid4().hex}"
    held = connect().reserve("tea", 2, wanted, key=uuid4().hex, timeout=TIMEOUT)
    return {"id": held.id, "reference": wanted}


PARTNER = Partner(
    name="inventory",
    address_variable="INTEGRATIONS_INVENTORY_URL",
    below="/inventory",
    states={"nothing is reserved": dict, "stock is reserved": _reserved},
    stand_in_states={
        "the article is sold out": lambda sandbox: sandbox.set_stock("tea", 0),
        "it is overloaded": overloaded("inventory"),
    },
    agreements=[
        Agreement(
            "a reservation",
            "nothing is reserved",
            "POST",
            "/reservations",
            _reserves,
            status=201,
            headers=KEY,
            body=_WANTED,
            answer=_ANSWER,
        ),
        Agreement(
            "a reservation of what is sold out",
            "the article is sold out",
            "POST",
            "/reservations",
            _is_out_of_stock,
            status=409,
            headers=KEY,
            body=_WANTED,
            answer={"error": {"code": "out_of_stock"}},
        ),
        Agreement(
            "a reservation while it is overloaded",
            "it is overloaded",
            "POST",
            "/reservations",
            _is_turned_away,
            status=429,
            headers=KEY,
            body=_WANTED,
            answer={"error": {"code": "rate_limit"}},
            answer_headers={"Retry-After": "7"},
        ),
        Agreement(
            "a release",
            "stock is reserved",
            "POST",
            _RELEASE,
            _releases,
            headers=KEY,
            body={},
            answer={"id": text("rsv_1"), "status": "released"},
        ),
        Agreement(
            "a release of what is not there",
            "nothing is reserved",
            "POST",
            "/reservations/rsv_1/release",
            _releases,
            status=404,
            headers=KEY,
            body={},
            answer={"error": {"code": text("not_found")}},
        ),
        Agreement(
            "a search for what is reserved",
            "stock is reserved",
            "GET",
            "/reservations",
            _finds,
            query={"reference": from_state(REFERENCE, "reference")},
            answer={"data": list_of(_ANSWER)},
        ),
        Agreement(
            "a search for what is not reserved",
            "nothing is reserved",
            "GET",
            "/reservations",
            _finds_nothing,
            query={"reference": from_state(REFERENCE, "reference")},
            answer={"data": []},
        ),
    ],
)

"""What we agreed on with the carrier's courier and label service."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest

from integrations.conf import ShippingSettings
from integrations.errors import PartnerRefused
from integrations.sandbox.process import RunningSandbox
from integrations.shipping.client import HttpShipping, connect
from integrations.shipping.schemas import Booking, Label
from tests.contract.terms import (
    KEY,
    REFERENCE,
    TIMEOUT,
    Agreement,
    Partner,
    list_of,
    path_of,
    reference,
    text,
)

_ADDRESS = "1 Long Street"
_WANTED = {"address": _ADDRESS, "reference": reference()}
_BOOKING = Booking(id="bkg_1", reference=REFERENCE)
_LABEL = Label(id="lbl_1", reference=REFERENCE, tracking_number="trk_1")
_BOOKED = {"id": text("bkg_1"), "reference": text(REFERENCE), "status": "courier_booked"}
_PRINTED = {
    "id": text("lbl_1"),
    "reference": text(REFERENCE),
    "tracking_number": text("trk_1"),
    "status": "label_printed",
}
_CANCEL = path_of("/bookings/bkg_1/cancel", r"^/bookings/[\w-]+/cancel$", "/bookings/${id}/cancel")
_VOID = path_of("/labels/lbl_1/void", r"^/labels/[\w-]+/void$", "/labels/${id}/void")


def _client(address: str) -> HttpShipping:
    return HttpShipping(ShippingSettings(shipping_url=address))


def _books(address: str) -> None:
    booked = _client(address).book_courier(_ADDRESS, REFERENCE, key="key-1", timeout=TIMEOUT)
    assert booked == _BOOKING


def _is_not_served(address: str) -> None:
    with pytest.raises(PartnerRefused, match="422 address_not_served"):
        _client(address).book_courier(_ADDRESS, REFERENCE, key="key-1", timeout=TIMEOUT)


def _cancels(address: str) -> None:
    _client(address).cancel_courier("bkg_1", key="key-1", timeout=TIMEOUT)


def _finds_courier(address: str) -> None:
    assert _client(address).find_courier(REFERENCE, timeout=TIMEOUT) == _BOOKING


def _prints(address: str) -> None:
    printed = _client(address).print_label(_ADDRESS, REFERENCE, key="key-1", timeout=TIMEOUT)
    assert printed == _LABEL


def _voids(address: str) -> None:
    _client(address).void_label("lbl_1", key="key-1", timeout=TIMEOUT)


def _finds_label(address: str) -> None:
    assert _client(address).find_label(REFERENCE, timeout=TIMEOUT) == _LABEL


def _booked() -> Mapping[str, str]:
    wanted = f"order:{uuid4().hex}"
    made = connect().book_courier(_ADDRESS, wanted, key=uuid4().hex, timeout=TIMEOUT)
    return {"id": made.id, "reference": wanted}


def _printed() -> Mapping[str, str]:
    wanted = f"order:{uuid4().hex}"
    made = connect().print_label(_ADDRESS, wanted, key=uuid4().hex, timeout=TIMEOUT)
    return {"id": made.id, "reference": wanted}


def _out_of_its_area(sandbox: RunningSandbox) -> None:
    sandbox.add_fault("refuse", service="shipping")


PARTNER = Partner(
    name="shipping",
    address_variable="INTEGRATIONS_SHIPPING_URL",
    below="/shipping",
    states={
        "nothing is booked": dict,
        "a courier is booked": _booked,
        "a label is printed": _printed,
    },
    stand_in_states={"the address is out of its area": _out_of_its_area},
    agreements=[
        Agreement(
            "a booking of a courier",
            "nothing is booked",
            "POST",
            "/bookings",
            _books,
            status=201,
            headers=KEY,
            body=_WANTED,
            answer=_BOOKED,
        ),
        Agreement(
            "a booking for an address that is not served",
            "the address is out of its area",
            "POST",
            "/bookings",
            _is_not_served,
            status=422,
            headers=KEY,
            body=_WANTED,
            answer={"error": {"code": "address_not_served"}},
        ),
        Agreement(
            "a cancellation of a courier",
            "a courier is booked",
            "POST",
            _CANCEL,
            _cancels,
            headers=KEY,
            body={},
            answer={"id": text("bkg_1"), "status": "courier_cancelled"},
        ),
        Agreement(
            "a cancellation of a courier who is not booked",
            "nothing is booked",
            "POST",
            "/bookings/bkg_1/cancel",
            _cancels,
            status=404,
            headers=KEY,
            body={},
            answer={"error": {"code": text("not_found")}},
        ),
        Agreement(
            "a search for a courier",
            "a courier is booked",
            "GET",
            "/bookings",
            _finds_courier,
            query={"reference": reference()},
            answer={"data": list_of(_BOOKED)},
        ),
        Agreement(
            "a label",
            "nothing is booked",
            "POST",
            "/labels",
            _prints,
            status=201,
            headers=KEY,
            body=_WANTED,
            answer=_PRINTED,
        ),
        Agreement(
            "a voiding of a label",
            "a label is printed",
            "POST",
            _VOID,
            _voids,
            headers=KEY,
            body={},
            answer={"id": text("lbl_1"), "status": "label_voided"},
        ),
        Agreement(
            "a search for a label",
            "a label is printed",
            "GET",
            "/labels",
            _finds_label,
            query={"reference": reference()},
            answer={"data": list_of(_PRINTED)},
        ),
    ],
)

"""The shipping partner's client: JSON over HTTP."""

from __future__ import annotations

from integrations import http
from integrations.call import Call
from integrations.conf import ShippingSettings, load
from integrations.shipping.schemas import Booking, Label


def connect() -> HttpShipping:
    """A client for the partner that the environment names."""
    return HttpShipping(load(ShippingSettings))


class HttpShipping:
    """Shipping through the carrier's service."""

    def __init__(self, settings: ShippingSettings) -> None:
        self._bookings = f"{settings.shipping_url}/bookings"
        self._labels = f"{settings.shipping_url}/labels"

    def book_courier(self, address: str, reference: str, *, key: str, timeout: float) -> Booking:
        call = Call.within(timeout, "shipping", "book_courier", keyed=True)
        wanted = {"address": address, "reference": reference}
        return call.shape(Booking, http.make(call, self._bookings, wanted, key=key))

    def cancel_courier(self, booking_id: str, *, key: str, timeout: float) -> None:
        call = Call.within(timeout, "shipping", "cancel_courier", keyed=True)
        http.undo(call, self._bookings, booking_id, "cancel", key=key)

    def find_courier(
        self, reference: str, key: str | None = None, *, timeout: float
    ) -> Booking | None:
        call = Call.within(timeout, "shipping", "find_courier", writes=False)
        found = http.find(
            call,
            self._bookings,
            {"reference": reference, "key": key},
            status="courier_booked",
        )
        return call.shape(Booking, found) if found else None

    def print_label(self, address: str, reference: str, *, key: str, timeout: float) -> Label:
        call = Call.within(timeout, "shipping", "print_label", keyed=True)
        wanted = {"address": address, "reference": reference}
        return call.shape(Label, http.make(call, self._labels, wanted, key=key))

    def void_label(self, label_id: str, *, key: str, timeout: float) -> None:
        call = Call.within(timeout, "shipping", "void_label", keyed=True)
        http.undo(call, self._labels, label_id, "void", key=key)

    def find_label(self, reference: str, key: str | None = None, *, timeout: float) -> Label | None:
        call = Call.within(timeout, "shipping", "find_label", writes=False)
        found = http.find(
            call,
            self._labels,
            {"reference": reference, "key": key},
            status="label_printed",
        )
        return call.shape(Label, found) if found else None

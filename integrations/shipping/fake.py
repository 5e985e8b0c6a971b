"""A shipping partner in memory."""

from __future__ import annotations

from integrations.fakes import HoldingFake
from integrations.shipping.schemas import Booking, Label


class FakeShipping(HoldingFake):
    """Books couriers and prints labels."""

    partner = "shipping"

    def book_courier(self, address: str, reference: str, *, key: str, timeout: float) -> Booking:
        def do() -> Booking:
            booking = Booking(id=self._new_id("bkg"), reference=reference)
            self._hold("courier_booked", booking, key, reference)
            return booking

        asked = (address, reference)
        return self._write("book_courier", do, key=key, timeout=timeout, asked=asked)

    def cancel_courier(self, booking_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            self._undo("courier_cancelled", booking_id, key)

        self._write("cancel_courier", do, key=key, timeout=timeout, asked=booking_id)

    def find_courier(
        self, reference: str, key: str | None = None, *, timeout: float
    ) -> Booking | None:
        def look() -> Booking | None:
            return self._found(Booking, reference, key)

        return self._read("find_courier", look, timeout=timeout)

    def print_label(self, address: str, reference: str, *, key: str, timeout: float) -> Label:
        def do() -> Label:
            label_id = self._new_id("lbl")
            label = Label(id=label_id, reference=reference, tracking_number=f"trk_{label_id}")
            self._hold("label_printed", label, key, reference)
            return label

        asked = (address, reference)
        return self._write("print_label", do, key=key, timeout=timeout, asked=asked)

    def void_label(self, label_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            self._undo("label_voided", label_id, key)

        self._write("void_label", do, key=key, timeout=timeout, asked=label_id)

    def find_label(self, reference: str, key: str | None = None, *, timeout: float) -> Label | None:
        def look() -> Label | None:
            return self._found(Label, reference, key)

        return self._read("find_label", look, timeout=timeout)

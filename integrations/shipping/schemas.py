"""What the shipping partner does for us, and what it answers."""

from __future__ import annotations

from typing import Protocol

from integrations.schemas import Answer, Identifier, Reference


class Booking(Answer):
    """A courier who will come for an order."""

    id: Identifier
    reference: Reference


class Label(Answer):
    """A printed label and the number to follow the parcel by."""

    id: Identifier
    reference: Reference
    tracking_number: Identifier


class Shipping(Protocol):
    """The shipping partner. A call takes at most `timeout` seconds; `key` makes repeats harmless.

    Every method raises a PartnerError: refused, unavailable, or, if it changes something, unknown.
    """

    def book_courier(self, address: str, reference: str, *, key: str, timeout: float) -> Booking:
        """Send a courier to fetch the order. Refused for an address that is not served."""

    def cancel_courier(self, booking_id: str, *, key: str, timeout: float) -> None:
        """Call the courier off. None to call off is a success."""

    def find_courier(
        self, reference: str, key: str | None = None, *, timeout: float
    ) -> Booking | None:
        """The courier still booked for `reference`; only that of the call with `key`, if given."""

    def print_label(self, address: str, reference: str, *, key: str, timeout: float) -> Label:
        """Print the parcel's label. Refused for an address that is not served."""

    def void_label(self, label_id: str, *, key: str, timeout: float) -> None:
        """Make the label worthless. None to void is a success."""

    def find_label(self, reference: str, key: str | None = None, *, timeout: float) -> Label | None:
        """The label still valid for `reference`; only that of the call with `key`, if given."""

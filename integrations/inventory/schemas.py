"""What the inventory partner does for us, and what it answers."""

from __future__ import annotations

from typing import Protocol

from pydantic import PositiveInt

from integrations.schemas import Answer, Identifier, Reference


class Reservation(Answer):
    """Stock held for an order."""

    id: Identifier
    sku: str
    quantity: PositiveInt
    reference: Reference


class Inventory(Protocol):
    """The inventory partner. A call takes at most `timeout` seconds; `key` makes repeats harmless.

    Every method raises a PartnerError: refused, unavailable, or, if it changes something, unknown.
    """

    def reserve(
        self, sku: str, quantity: int, reference: str, *, key: str, timeout: float
    ) -> Reservation:
        """Hold `quantity` of an article. Refused if there is not enough."""

    def release(self, reservation_id: str, *, key: str, timeout: float) -> None:
        """Give the held stock back. Nothing to give back is a success."""

    def find(self, reference: str, key: str | None = None, *, timeout: float) -> Reservation | None:
        """What is still held for `reference`; only what the call with `key` held, if given."""

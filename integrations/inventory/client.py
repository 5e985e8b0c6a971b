"""The inventory partner's client: JSON over HTTP."""

from __future__ import annotations

from integrations import http
from integrations.call import Call
from integrations.conf import InventorySettings, load
from integrations.inventory.schemas import Reservation


def connect() -> HttpInventory:
    """A client for the partner that the environment names."""
    return HttpInventory(load(InventorySettings))


class HttpInventory:
    """Inventory through the warehouse's reservation service."""

    def __init__(self, settings: InventorySettings) -> None:
        self._reservations = f"{settings.inventory_url}/reservations"

    def reserve(
        self, sku: str, quantity: int, reference: str, *, key: str, timeout: float
    ) -> Reservation:
        call = Call.within(timeout, "inventory", "reserve", keyed=True)
        wanted = {"sku": sku, "quantity": quantity, "reference": reference}
        held = http.make(call, self._reservations, wanted, key=key)
        return call.shape(Reservation, held)

    def release(self, reservation_id: str, *, key: str, timeout: float) -> None:
        call = Call.within(timeout, "inventory", "release", keyed=True)
        http.undo(call, self._reservations, reservation_id, "release", key=key)

    def find(self, reference: str, key: str | None = None, *, timeout: float) -> Reservation | None:
        call = Call.within(timeout, "inventory", "find", writes=False)
        found = http.find(
            call,
            self._reservations,
            {"reference": reference, "key": key},
            status="reserved",
        )
        return call.shape(Reservation, found) if found else None

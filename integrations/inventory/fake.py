"""An inventory partner in memory."""

from __future__ import annotations

from integrations.fakes import HoldingFake
from integrations.inventory.schemas import Reservation


class FakeInventory(HoldingFake):
    """Holds stock, endless for an article until `set_stock` says otherwise."""

    partner = "inventory"

    def __init__(self) -> None:
        super().__init__()
        self._stock: dict[str, int] = {}

    def set_stock(self, sku: str, quantity: int) -> None:
        """Say how many there are of an article, reserved ones included."""
        self._stock[sku] = quantity

    def reserve(
        self, sku: str, quantity: int, reference: str, *, key: str, timeout: float
    ) -> Reservation:
        def do() -> Reservation:
            if quantity > self._left(sku, quantity):
                raise self.refusal("reserve", "out_of_stock")
            made = Reservation(
                id=self._new_id("rsv"), sku=sku, quantity=quantity, reference=reference
            )
            self._hold("reserved", made, key, reference)
            return made

        asked = (sku, quantity, reference)
        return self._write("reserve", do, key=key, timeout=timeout, asked=asked)

    def release(self, reservation_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            self._undo("released", reservation_id, key)

        self._write("release", do, key=key, timeout=timeout, asked=reservation_id)

    def find(self, reference: str, key: str | None = None, *, timeout: float) -> Reservation | None:
        def look() -> Reservation | None:
            return self._found(Reservation, reference, key)

        return self._read("find", look, timeout=timeout)

    def _left(self, sku: str, wanted: int) -> int:
        reserved: list[Reservation] = [h.answer for h in self._held.values() if h.in_force]
        taken = sum(reservation.quantity for reservation in reserved if reservation.sku == sku)
        return self._stock.get(sku, taken + wanted) - taken

"""A stand-in warehouse: holds stock for an order and gives it back."""

from __future__ import annotations

from typing import Any

from integrations.sandbox.describe import TEXT
from integrations.sandbox.resources import Resource, ResourceService
from integrations.sandbox.service import Answer, Request


class Inventory(ResourceService):
    """Reservations of one article each. Stock is endless for an article until it is set."""

    name = "inventory"
    refusal = (409, "out_of_stock")
    resources = (
        Resource(
            path="/inventory/reservations",
            prefix="rsv",
            make="reserve",
            undo="release",
            find="find",
            undo_path="release",
            made="reserved",
            undone="released",
            fields={"sku": TEXT, "quantity": {"type": "integer", "minimum": 1}},
        ),
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stock: dict[str, int] = {}

    def stock(self, sku: str, quantity: int) -> None:
        """Say how many of an article there are, reserved ones included."""
        self._stock[sku] = quantity

    def obstacle(self, request: Request) -> Answer | None:
        sku, quantity = request.params["sku"], request.params["quantity"]
        held = sum(t.fields["quantity"] for t in self.in_force() if t.fields["sku"] == sku)
        left = self._stock.get(sku, held + quantity) - held
        return self.refuse(request) if quantity > left else None

    def clear(self) -> None:
        super().clear()
        self._stock.clear()

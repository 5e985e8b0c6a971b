"""Inventory: hold stock for an order, and give it back."""

from __future__ import annotations

from integrations.inventory.client import connect
from integrations.inventory.schemas import Inventory, Reservation
from integrations.seam import Seam

__all__ = ["Inventory", "Reservation", "connector", "use"]

_seam: Seam[Inventory] = Seam(connect)
connector = _seam.connector
use = _seam.use

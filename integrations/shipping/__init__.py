"""Shipping: send a courier, print a label, and take either back."""

from __future__ import annotations

from integrations.seam import Seam
from integrations.shipping.client import connect
from integrations.shipping.schemas import Booking, Label, Shipping

__all__ = ["Booking", "Label", "Shipping", "connector", "use"]

_seam: Seam[Shipping] = Seam(connect)
connector = _seam.connector
use = _seam.use

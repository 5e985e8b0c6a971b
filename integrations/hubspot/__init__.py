"""HubSpot: keep contacts and notes about people, found and told apart by our reference."""

from __future__ import annotations

from integrations.hubspot.client import connect
from integrations.hubspot.schemas import Contact, HubSpot, Note, Person
from integrations.seam import Seam

__all__ = ["Contact", "HubSpot", "Note", "Person", "connector", "use"]

_seam: Seam[HubSpot] = Seam(connect)
connector = _seam.connector
use = _seam.use

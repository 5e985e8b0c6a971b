"""Salesforce: keep opportunities, made and found by an external id."""

from __future__ import annotations

from integrations.salesforce.client import connect
from integrations.salesforce.schemas import Deal, Opportunity, Salesforce
from integrations.seam import Seam

__all__ = ["Deal", "Opportunity", "Salesforce", "connector", "use"]

_seam: Seam[Salesforce] = Seam(connect)
connector = _seam.connector
use = _seam.use

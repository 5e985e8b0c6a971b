"""Analytics: count what customers do. The real client speaks to Google Analytics 4."""

from __future__ import annotations

from integrations.analytics.client import connect
from integrations.analytics.schemas import Analytics, Params
from integrations.seam import Seam

__all__ = ["Analytics", "Params", "connector", "use"]

_seam: Seam[Analytics] = Seam(connect)
connector = _seam.connector
use = _seam.use

"""Times and the ids of runs, which begin with when they were drawn (RFC 9562, UUIDv7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

#: An id's time is of the clock of whoever started the run, which may differ from the database's.
SLACK = timedelta(hours=1)


def least_id(moment: datetime) -> UUID:
    """The least id that could be drawn at a moment; never one before the year 1970."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << 80)

"""Times and the ids of runs: an id begins with the time at which it was drawn (RFC 9562, UUIDv7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

#: An id's time is of the clock of whoever started the run, which may differ from the database's.
SLACK = timedelta(hours=1)


def least_id(moment: datetime) -> UUID:
    """The least id that could be drawn at a moment; never one before the year 1970."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << 80)


def in_words(span: timedelta) -> str:
    """A length of time in its largest unit, coarse: it may stand on a page for a minute."""
    seconds = max(0, int(span.total_seconds()))
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return "under 1 min"


_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))

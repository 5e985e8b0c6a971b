"""Times as people type them on a command line."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import UTC, datetime, timedelta

_UNITS = {"s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_CENTURY = timedelta(days=36_525)


def span(text: str) -> timedelta:
    """A length of time, such as ``90d``.

    Raises:
        argparse.ArgumentTypeError: it is none, is zero, or is longer than a century.
    """
    found = re.fullmatch(rf"([0-9]{{1,10}})\s*({'|'.join(_UNITS)})", text.strip())
    if not found or not 0 < int(found[1]) * _UNITS[found[2]] <= _CENTURY.total_seconds():
        raise ArgumentTypeError(
            f"{text!r} is no length of time; write a number above 0 and one of "
            f"{', '.join(_UNITS)}, as in 90d"
        )
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def moment(text: str) -> datetime:
    """A date, or a date and time, such as ``2026-11-01`` or ``2026-11-01T10:30+02:00``; else UTC.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        given = datetime.fromisoformat(text.strip())
        # Here already, where it can be refused: close to year 1 or 9999 another zone has no date.
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(
            f"{text!r} is no date; write it as in 2026-11-01 or 2026-11-01T10:30+02:00"
        ) from None

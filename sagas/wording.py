"""Statuses and times as people read them, the same on pages, in messages and in tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sagas.states import RunStatus, StepStatus


def words(status: str) -> str:
    """A status as a badge has it."""
    return status.replace("_", " ")


def stands(status: str) -> str:
    """A status as the rest of a sentence that begins with what has it: ``needs attention``."""
    return _STANDS.get(status) or f"is {words(status)}"


_STANDS: Mapping[str, str] = {
    RunStatus.NEEDS_ATTENTION: "needs attention",
    RunStatus.SUCCEEDED: "has succeeded",  # a step's has the same word
    StepStatus.FAILED: "has failed",
}


def clock(at: datetime, now: datetime | None = None) -> str:
    """A time to the second, with its day.

    Args:
        now: leave the day out if it is this one's.
    """
    whole = stamp(at)
    today = now is not None and now.astimezone(UTC).date() == at.astimezone(UTC).date()
    return f"{whole.partition(' ')[2] if today else whole} UTC"


def stamp(at: datetime) -> str:
    """The same in UTC, for a column or a sentence that says so itself."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"

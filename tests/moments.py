"""Moments that tests share."""

from datetime import UTC, datetime, timedelta

RECENTLY = datetime.now(UTC) - timedelta(hours=1)
"""Before anything that this process's tests have done."""

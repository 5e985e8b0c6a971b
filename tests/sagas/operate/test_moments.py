from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sagas.models import uuid7
from sagas.operate.moments import least_id


def test_ids_drawn_after_a_moment_are_greater_and_those_before_are_less() -> None:
    now = datetime.now(UTC)
    assert least_id(now - timedelta(seconds=2)) < uuid7() < least_id(now + timedelta(seconds=2))


def test_no_moment_is_too_early() -> None:
    assert least_id(datetime(1, 1, 2, tzinfo=UTC)) == UUID(int=0)

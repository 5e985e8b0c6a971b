"""Signals: kept until they are waited for, handed over exactly once.

An early signal and a step that begins to wait could miss each other, since neither sees what the
other has not committed; both take the same advisory lock first.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sagas import db

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7365))"
_KEEP = """
INSERT INTO sagas_signal (name, correlation, deduplication_id, payload, received_at)
VALUES (%s, %s, %s, %s::jsonb, clock_timestamp())
ON CONFLICT (name, correlation, deduplication_id) DO NOTHING RETURNING id"""
_TAKE = """
UPDATE sagas_signal SET taken_at = clock_timestamp(), taken_by_id = %s
WHERE id = (SELECT id FROM sagas_signal
            WHERE name = %s AND correlation = %s AND taken_at IS NULL
            ORDER BY id LIMIT 1 FOR UPDATE)
RETURNING payload::text"""
_WAITING = """
SELECT s.run_id, s.name, s.direction FROM sagas_step s
WHERE s.signal = %s AND s.correlation = %s AND s.status = 'waiting' ORDER BY s.id LIMIT 1"""


def lock(name: str, correlation: str) -> None:
    """Serialise everything about one signal until the transaction ends."""
    db.execute(_LOCK, [f"{name}\x1f{correlation}"])


def keep(name: str, correlation: str, deduplication_id: str | None, payload: str) -> bool:
    """Store a signal. False: one with that deduplication id came before."""
    return bool(db.execute(_KEEP, [name, correlation, deduplication_id, payload]))


def take(name: str, correlation: str, step_id: int | None) -> str | None:
    """The oldest signal that nobody took, marked as taken by this step; its JSON, or None."""
    rows: list[tuple[Any, ...]] = db.execute(_TAKE, [step_id, name, correlation])
    return str(rows[0][0] or "null") if rows else None


def waiting(name: str, correlation: str) -> tuple[UUID, str, str] | None:
    """The run, the name and the direction of the step that has waited longest for a signal."""
    rows = db.execute(_WAITING, [name, correlation])
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

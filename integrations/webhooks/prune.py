"""Pruning: what is long over is removed, but not so early that its sender might repeat it."""

from __future__ import annotations

from datetime import timedelta

from sagas import db

LEAST = timedelta(days=7)
"""Senders repeat for days: Stripe and HubSpot for three, GitHub's can be sent again for three."""
_SLICE = 1000

_REMOVE = """
DELETE FROM integrations_webhookevent WHERE id IN (
  SELECT id FROM integrations_webhookevent
  WHERE status IN ('done', 'ignored') AND id > %(after)s
    AND finished_at < statement_timestamp() - %(age)s
  ORDER BY id LIMIT %(slice)s FOR UPDATE SKIP LOCKED)
RETURNING id"""


def prune(older_than: timedelta) -> int:
    """Remove events that have been done or ignored for longer than that. Gives how many.

    Dead letters stay: somebody has yet to decide.

    Raises:
        ValueError: it is so short that a repeated event would be taken for a new one.
    """
    if older_than < LEAST:
        raise ValueError(f"Events are kept for {LEAST.days} days: their senders may repeat them.")
    removed, after = 0, 0
    while rows := db.execute(_REMOVE, {"after": after, "age": older_than, "slice": _SLICE}):
        removed += len(rows)
        after = max(row[0] for row in rows)
    return removed

"""Pruning: what is long over is removed, but not so early that its sender might repeat it."""

from __future__ import annotations

from datetime import timedelta

from sagas import db
from sagas.operate import audit

LEAST = timedelta(days=7)
"""Senders repeat for days: Stripe and HubSpot for three, GitHub's can be sent again for three."""
_SLICE = 1000

_REMOVE = """
WITH old AS (
  SELECT id FROM integrations_webhookevent
  WHERE status IN ('done', 'ignored') AND id > %(after)s
    AND finished_at < statement_timestamp() - %(age)s
  ORDER BY id LIMIT %(slice)s FOR UPDATE SKIP LOCKED)
DELETE FROM integrations_webhookevent WHERE id IN (SELECT id FROM old) RETURNING id"""


def prune(older_than: timedelta, *, by: audit.Actor) -> int:
    """Remove events that have been done or ignored for longer than that. Gives how many.

    Dead letters stay: somebody has yet to decide. The audit says who had them removed.

    Raises:
        ValueError: it is so short that a repeated event would be taken for a new one.
    """
    if older_than < LEAST:
        raise ValueError(f"Events are kept for {LEAST.days} days: their senders may repeat them.")
    removed, after = 0, 0
    while ids := _removed(older_than, after, by):
        removed += len(ids)
        after = max(ids)
    return removed


@db.transacted
def _removed(older_than: timedelta, after: int, by: audit.Actor) -> list[int]:
    rows = db.execute(_REMOVE, {"after": after, "age": older_than, "slice": _SLICE})
    ids = [number for (number,) in rows]
    if ids:
        audit.append(
            actor=by,
            verb="prune",
            reason="",
            subject=f"{len(ids)} webhook events over for {older_than}",
            details={"events": len(ids), "first": min(ids), "last": max(ids)},
        )
    return ids

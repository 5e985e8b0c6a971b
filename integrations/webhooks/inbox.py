"""The inbox's statements: keep an event once, claim one that is due, and say what came of it.

Whoever answers for a claim names its attempt: of two workers that believe to hold the same event
one finds that it does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from integrations.webhooks.models import EventStatus
from integrations.webhooks.received import Event
from sagas import db
from sagas.run.documents import clean

LEASE_SECONDS = 60
"""A claim of which nothing is heard for so long is taken over."""
LATE_SECONDS = 2
"""What is due for longer than this has lost its message."""

_KEEP = """
INSERT INTO integrations_webhookevent (source, event_id, kind, body, occurred_at)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[])
ON CONFLICT (source, event_id) DO NOTHING RETURNING id"""

_CLAIM = f"""
UPDATE integrations_webhookevent
SET attempts = attempts + 1, due_at = statement_timestamp() + interval '{LEASE_SECONDS} s'
WHERE id = (SELECT id FROM integrations_webhookevent
            WHERE status = 'received' AND due_at <= statement_timestamp()
            ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, attempts, source, event_id, kind, body, occurred_at"""

_FINISH = """
UPDATE integrations_webhookevent
SET status = %(status)s, finished_at = statement_timestamp(), note = %(note)s
WHERE id = %(id)s AND attempts = %(attempt)s AND status = 'received' RETURNING id"""

_NOTE = "UPDATE integrations_webhookevent SET note = %s WHERE id = %s"

_POSTPONE = """
UPDATE integrations_webhookevent
SET due_at = statement_timestamp() + make_interval(secs => %(delay)s), note = %(note)s
WHERE id = %(id)s AND attempts = %(attempt)s AND status = 'received' RETURNING id"""

# In the index's order, so that no plan reads the table for it.
_LATE = f"""
SELECT due_at <= statement_timestamp() - interval '{LATE_SECONDS} s'
FROM integrations_webhookevent WHERE status = 'received' ORDER BY due_at, id LIMIT 1"""


@dataclass(frozen=True, slots=True)
class Claim:
    """An event, and which attempt at it this is."""

    id: int
    attempt: int
    event: Event


def keep(events: Sequence[Event]) -> int:
    """Keep those events that are not known yet. Gives how many.

    One statement: outside of a transaction it has committed, all or none, when this returns.
    """
    columns = [[getattr(e, name) for e in events] for name in _COLUMNS]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, columns)
        return len(cursor.fetchall())


def claim() -> Claim | None:
    """The event that has been due for longest, for the length of a lease; None: there is none."""
    rows = db.execute(_CLAIM)
    if not rows:
        return None
    number, attempt, source, event_id, kind, body, occurred_at = rows[0]
    return Claim(number, attempt, Event(source, event_id, kind, body, occurred_at))


def finish(claim: Claim, status: EventStatus, note: str = "") -> bool:
    """Say what became of an event. False: it is no longer this claim's, so undo what it caused."""
    return bool(db.execute(_FINISH, _params(claim, note) | {"status": status.value}))


def add_note(claim: Claim, note: str) -> None:
    """Say more about an event, in the transaction that finished it."""
    db.execute(_NOTE, [clean(note), claim.id])


def postpone(claim: Claim, delay: float, note: str) -> bool:
    """Have an event tried again in so many seconds. False: it is no longer this claim's."""
    return bool(db.execute(_POSTPONE, _params(claim, note) | {"delay": delay}))


def late() -> bool:
    """Whether an event waits that no message seems to be under way for."""
    rows = db.execute(_LATE)
    return bool(rows and rows[0][0])


_COLUMNS = ("source", "id", "kind", "body", "occurred_at")


def _params(claim: Claim, note: str) -> dict[str, object]:
    return {"id": claim.id, "attempt": claim.attempt, "note": clean(note)}

"""What partners' objects are like: the newest event about each counts, whenever it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.webhooks.handlers import Unfit
from integrations.webhooks.received import Event
from sagas import db
from sagas.conf import conf
from sagas.run.documents import NotADocument, encode

_KEEP = """
INSERT INTO integrations_partnerobject AS known (source, subject, state, as_of, rank, told_by)
VALUES (%(source)s, %(subject)s, %(state)s::jsonb, %(as_of)s, %(rank)s, %(told_by)s)
ON CONFLICT (source, subject) DO UPDATE SET state = excluded.state, as_of = excluded.as_of,
  rank = excluded.rank, told_by = excluded.told_by
WHERE (known.as_of, known.rank) <= (excluded.as_of, excluded.rank) RETURNING id"""


def keep_newest(event: Event, subject: str, state: Mapping[str, Any], *, rank: int = 0) -> bool:
    """Keep what an event tells of an object, in the caller's transaction.

    Args:
        subject: the object, in the source's words.
        state: what of it we want to know.
        rank: the higher is the later of two events of one moment, such as a deletion after a
            change: clocks of seconds cannot tell.

    Returns:
        False: a newer event was here before, and nothing was changed.

    Raises:
        Unfit: the event does not say when it happened, or the state cannot be stored.
    """
    if event.occurred_at is None:
        raise Unfit("It does not say when it happened, so nobody can tell whether it is news.")
    try:
        text = encode(dict(state), conf().MAX_DOCUMENT_BYTES)
    except NotADocument as error:
        raise Unfit(f"It cannot be stored: {error}.") from None
    params = {
        "source": event.source,
        "subject": subject,
        "state": text,
        "as_of": event.occurred_at,
        "rank": rank,
        "told_by": event.id,
    }
    return bool(db.execute(_KEEP, params))

"""What partners' objects are like: the newest event about each counts, whenever it comes.

A source's clock has whole seconds or milliseconds, so several changes may be of one moment. What
each of them changed tells which came first: a change follows another if it starts from the state
that the other led to. Where that does not tell, the object is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from integrations.webhooks.handlers import Unfit
from integrations.webhooks.models import PartnerObject
from integrations.webhooks.received import Event
from sagas import db
from sagas.conf import conf
from sagas.run.documents import NotADocument, encode

State = Mapping[str, Any]

_KEEP = """
INSERT INTO integrations_partnerobject AS known
  (source, subject, state, as_of, rank, told_by, before, asked_by)
VALUES (%(source)s, %(subject)s, %(state)s::jsonb, %(as_of)s, %(rank)s, %(told_by)s,
        %(before)s::jsonb, %(asked_by)s)
ON CONFLICT (source, subject) DO UPDATE SET as_of = excluded.as_of, rank = excluded.rank,
  state = CASE WHEN excluded.asked_by = '' THEN excluded.state ELSE known.state END,
  told_by = excluded.told_by, before = excluded.before, asked_by = excluded.asked_by
WHERE (known.as_of, known.rank) < (excluded.as_of, excluded.rank) RETURNING id"""


class News(Enum):
    """What an event is worth."""

    NEWEST = auto()  # it is kept
    OLD = auto()  # what is known has come after it, or includes it
    UNCLEAR = auto()  # nobody can tell: ask the source for the object, then `settle`


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of one moment, one after another: what they start from, if known, and lead to."""

    before: State | None
    state: State

    def joined(self, other: Changes) -> Changes | None:
        """These and others as one; None: nobody can tell which were first.

        Each change is in one event, so once all have come they were joined to the one walk through
        the states that they are: also where a state came twice, unless the walk ends where it
        began. That, and a gap that no event has filled yet, is unclear.
        """
        if self.before is None or other.before is None:
            return None
        if other.before == other.state:
            return self
        if self.before == self.state:
            return other
        follows, precedes = other.before == self.state, other.state == self.before
        if follows == precedes:
            return None
        return Changes(self.before, other.state) if follows else Changes(other.before, self.state)


def keep_newest(
    event: Event, subject: str, state: State, *, before: State | None = None, rank: int = 0
) -> News:
    """Keep what an event tells of an object, in the caller's transaction.

    Args:
        subject: the object, in the source's words.
        state: what of it we want to know.
        before: the same before the change; None: the event does not say.
        rank: the higher is the later of two events of one moment, such as a deletion after a
            change: clocks of seconds cannot tell.

    Raises:
        Unfit: the event does not say when it happened, or the state cannot be stored.
    """
    params = _params(event, subject, rank) | {
        "state": _text(state),
        "before": None if before is None else _text(before),
    }
    if db.execute(_KEEP, params):
        return News.NEWEST
    known = _locked(event, subject)
    if known.told_by == event.id or _is_after(known, event, rank):
        return News.OLD
    before_it = Changes(known.before, known.state)
    changes = None if known.asked_by else before_it.joined(Changes(before, state))
    if changes is None:
        return _asked(known, event)
    news = News.OLD if changes.state == known.state else News.NEWEST
    known.before, known.state = changes.before, changes.state
    known.told_by = event.id if news is News.NEWEST else known.told_by
    known.save(update_fields=["before", "state", "told_by"])
    return news


def keep_mention(event: Event, subject: str, *, rank: int = 0) -> News:
    """Keep that an event tells of a change and not what it is. Else as ``keep_newest``."""
    params = _params(event, subject, rank) | {"state": "{}", "before": None, "asked_by": event.id}
    if db.execute(_KEEP, params):
        return News.UNCLEAR
    known = _locked(event, subject)
    return News.OLD if _is_after(known, event, rank) else _asked(known, event)


def settle(source: str, subject: str, event_id: str, state: State) -> bool:
    """Keep what the source answered about an object.

    Args:
        event_id: the event for which it was asked.

    Returns:
        False: another event has told more since then, and nothing was changed.

    Raises:
        Unfit: the state cannot be stored.
    """
    _text(state)
    asked = PartnerObject.objects.filter(source=source, subject=subject, asked_by=event_id)
    return bool(asked.update(state=dict(state), before=None, asked_by=""))


def _locked(event: Event, subject: str) -> PartnerObject:
    """What is known, as it stays until the transaction ends."""
    rows = PartnerObject.objects.select_for_update()
    return rows.get(source=event.source, subject=subject)


def _is_after(known: PartnerObject, event: Event, rank: int) -> bool:
    return event.occurred_at is not None and (known.as_of, known.rank) > (event.occurred_at, rank)


def _asked(known: PartnerObject, event: Event) -> News:
    known.asked_by = event.id
    known.save(update_fields=["asked_by"])
    return News.UNCLEAR


def _params(event: Event, subject: str, rank: int) -> dict[str, Any]:
    if event.occurred_at is None:
        raise Unfit("It does not say when it happened, so nobody can tell whether it is news.")
    return {
        "source": event.source,
        "subject": subject,
        "as_of": event.occurred_at,
        "rank": rank,
        "told_by": event.id,
        "asked_by": "",
    }


def _text(state: State) -> str:
    try:
        return encode(dict(state), conf().MAX_DOCUMENT_BYTES)
    except NotADocument as error:
        raise Unfit(f"It cannot be stored: {error}.") from None

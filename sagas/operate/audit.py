"""The audit: who did what, when and why; a chain of hashes that only grows.

Each entry's hash covers the one before it (a linked list as in Haber and Stornetta, How to
Time-Stamp a Digital Document, 1991), so that whoever changes or removes one breaks all that follow.
A tail that was cut off is seen only by someone who has noted the last hash elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sagas import db
from sagas.run.documents import clean

# A trigger of migration 0005 fills in number, time and hashes under a lock that it holds until the
# transaction ends; so append last.
_APPEND = """
INSERT INTO sagas_auditentry (number, at, actor, approver, verb, run, saga, step, subject, reason,
  batch, before, after, details, previous, hash)
VALUES (0, clock_timestamp(), %(actor)s, %(approver)s, %(verb)s, %(run)s, %(saga)s, %(step)s,
  %(subject)s, %(reason)s, %(batch)s, %(before)s, %(after)s, %(details)s, '', '')"""

# The same text as the trigger's, which is not asked: it may have been tampered with too.
_TEXT = """jsonb_build_array(
    number, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), actor, approver, verb,
    run, saga, step, subject, reason, batch, before, after, details, previous)::text"""
_READ = f"""
SELECT number, previous, hash, {_TEXT}, encode(sha256(convert_to({_TEXT}, 'UTF8')), 'hex')
FROM sagas_auditentry WHERE number > %(after)s ORDER BY number LIMIT %(batch)s"""
_START = "0" * 64

#: What the hashed text lists, in this order.
FIELDS = (
    *("number", "at", "actor", "approver", "verb", "run", "saga", "step", "subject", "reason"),
    *("batch", "before", "after", "details", "previous"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is stored: its number, the text that was hashed, and what its hash is."""

    number: int
    previous: str
    hash: str
    text: str
    computed: str


class Actor(Protocol):
    """Who did it: a user, or whoever sits at the command line."""

    def get_username(self) -> str: ...


def through(actor: object) -> str:
    """What somebody acts through, so that their name alone does not prove who it was.

    Empty: a person who has logged in.
    """
    return str(getattr(actor, "acts_through", ""))


def append(
    *,
    actor: Actor | str,
    verb: str,
    reason: str,
    run: UUID | None = None,
    saga: str = "",
    step: str = "",
    subject: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    details: Mapping[str, Any] | None = None,
    approver: Actor | str = "",
    batch: UUID | None = None,
) -> None:
    """Append an entry in the caller's transaction, as the last thing that it does.

    Args:
        actor: who did it; of one who acts through a token or the command line the details say so.
        verb: what was done.
        reason: why.
        subject: what it was done to, if it is not a run.
        before: what it changed, as it was; ``after``: as it is now.
        details: what was asked for.
        approver: the second person who consented.
        batch: the batch that it was a part of.
    """
    told = dict(details or {})
    if by_what := through(actor):
        told["through"] = by_what
    params = {
        "actor": clean(named(actor), 150),
        "approver": clean(named(approver), 150),
        "verb": verb,
        "run": run,
        "saga": saga,
        "step": step,
        "subject": clean(subject, 220),
        "reason": clean(reason),
        "batch": batch,
        "before": json.dumps(before or {}),
        "after": json.dumps(after or {}),
        "details": json.dumps(told),
    }
    db.execute(_APPEND, params)


def named(actor: Actor | str) -> str:
    """The name of who did it."""
    return actor if isinstance(actor, str) else actor.get_username()


def chain(batch: int = 1000, after: int = 0) -> Iterator[Link]:
    """Every entry, the oldest first.

    Args:
        batch: how many are held in memory at once.
        after: only entries above this number.
    """
    while rows := db.execute(_READ, {"after": after, "batch": batch}):
        yield from (Link(*row) for row in rows)
        after = rows[-1][0]


def problems(links: Iterator[Link]) -> Iterator[tuple[Link, str]]:
    """Follow the chain. Gives every entry with what is wrong with it; empty: nothing."""
    number, previous = 0, _START
    for link in links:
        yield link, _problem(link, number, previous)
        number, previous = link.number, link.hash


def _problem(link: Link, number: int, previous: str) -> str:
    if link.number != number + 1:
        gone = link.number - number - 1
        return f"{gone} {'entry is' if gone == 1 else 'entries are'} missing before it"
    if link.previous != previous:
        return "it does not follow from the entry before it, which was replaced"
    if link.computed != link.hash:
        return "it was changed after it was written"
    return ""

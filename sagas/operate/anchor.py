"""Anchors: what audit and events were, signed and exported, so that nobody can rewrite them.

A head says what the last entry of the audit was, and the sum of the hashes of all events up to one.
Each is signed with the key (``sagas.keys``) and kept in a store outside the database
(``operate.stores``); ``operate.anchored`` compares them with what is there now.

Events have a sum and no chain: an archive removes runs from their midst, and states the sum of
what it removed in its entry of the audit, signed. That of SHA-256 extended to 2,048 bits, so that
nobody finds other events of the same sum (Bellare and Micciancio, A New Paradigm for Collision-free
Hashing, 1997).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import shake_256
from typing import Any

from sagas import db, keys
from sagas.conf import conf
from sagas.errors import SagaError
from sagas.operate.stores import Store, store
from sagas.record import EVENT_HASH
from sagas.retire import Removed

logger = logging.getLogger("sagas.anchor")

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('sagas_anchor', 7366))"
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('sagas_anchor', 7366))"
_NEWEST = "SELECT number, line FROM sagas_anchor ORDER BY number DESC OFFSET %s LIMIT %s"
_ANY = "SELECT 1 FROM sagas_anchor LIMIT 1"
_AUDIT = "SELECT number, hash FROM sagas_auditentry ORDER BY number DESC LIMIT 1"
_ENTRY = "SELECT hash FROM sagas_auditentry WHERE number = %s"
_ARCHIVES = """
SELECT number, details ->> 'events' FROM sagas_auditentry
WHERE verb = 'archive' AND details ? 'events' AND number > %s ORDER BY number LIMIT 1000"""
#: The hashes of events above an id, the oldest first.
HASHES = f"""
SELECT e.id, {EVENT_HASH} FROM sagas_event e
WHERE e.id > %(after)s AND e.id <= %(up_to)s::bigint ORDER BY e.id LIMIT %(most)s"""
_INSERT = "INSERT INTO sagas_anchor (number, at, line) VALUES (%s, %s, %s)"
_NUMBER = "SELECT coalesce(max(number), 0) + 1, clock_timestamp() FROM sagas_anchor"
# Whoever draws an id of an event has written to the run before, so it has a transaction id that is
# lower than the one drawn here; once all those have ended, no lower id of an event can appear.
_BOUND = "SELECT coalesce(max(id), 0), pg_current_xact_id()::text::bigint FROM sagas_event"
_SETTLED = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= %s"
_NOW = "SELECT clock_timestamp()"

_BITS = 2048
_MOST = 50_000  # events that one transaction adds


@dataclass(frozen=True, slots=True)
class EventSum:
    """How many events there are, and the sum of their hashes, in whatever order."""

    count: int = 0
    total: int = 0

    def with_hashes(self, hashes: Iterable[bytes]) -> EventSum:
        """The sum with further events."""
        count, total = self.count, self.total
        for one in hashes:
            count += 1
            total += int.from_bytes(shake_256(one).digest(_BITS // 8), "big")
        return EventSum(count, total % (1 << _BITS))

    def __add__(self, other: EventSum) -> EventSum:
        return EventSum(self.count + other.count, (self.total + other.total) % (1 << _BITS))

    def __sub__(self, other: EventSum) -> EventSum:
        return EventSum(self.count - other.count, (self.total - other.total) % (1 << _BITS))

    @property
    def text(self) -> str:
        """The sum in hexadecimal digits."""
        return f"{self.total:0{_BITS // 4}x}"


@dataclass(frozen=True, slots=True)
class Head:
    """What audit and events were at a moment.

    Attributes:
        number: counts the heads.
        entry: the last entry of the audit; ``hash``: its hash.
        up_to: the id of the last event that ``events`` is the sum of.
    """

    number: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    entry: int = 0
    hash: str = "0" * 64
    up_to: int = 0
    events: EventSum = EventSum()

    def line(self) -> str:
        """The head as it is exported, with its signature."""
        text = _text(self._plain())
        return json.dumps({"head": self._plain(), "signature": keys.signing().sign(text)})

    def same_as(self, other: Head) -> bool:
        """Whether nothing was written in between."""
        return (self.entry, self.up_to) == (other.entry, other.up_to)

    def _plain(self) -> dict[str, Any]:
        return asdict(self) | {
            "at": self.at.isoformat(),
            "events": {"count": self.events.count, "sum": self.events.text},
        }


class Forged(SagaError):
    """A line or an entry does not have the signature that it should have."""


def parsed(line: str) -> Head | None:
    """The head that a line tells of, if there is one in it.

    Raises:
        Forged: its signature is wrong, or by a key that is not known.
    """
    try:
        found = json.loads(line[line.index("{") :])
        plain, signature = found["head"], str(found["signature"])
    except (ValueError, KeyError, TypeError):
        return None
    _demand_signed(_text(plain), signature, "An anchor")
    events = EventSum(plain["events"]["count"], int(plain["events"]["sum"], 16))
    return Head(**{**plain, "at": datetime.fromisoformat(plain["at"]), "events": events})


@dataclass(frozen=True, slots=True)
class Archived:
    """The events that an archive says it removed: ids and their sum."""

    entry: int
    first: int
    last: int
    events: EventSum


def statement(removed: Removed) -> dict[str, Any]:
    """What an archive says in the audit of the events that it removed, signed."""
    events = EventSum().with_hashes(removed.events)
    said = {
        "count": events.count,
        "first": removed.first,
        "last": removed.last,
        "sum": events.text,
    }
    return {**said, "signature": keys.signing().sign(_text(said))}


def archives() -> Iterator[Archived | Forged]:
    """What archives say that they removed, or why one is not believed."""
    after = 0
    while rows := db.execute(_ARCHIVES, [after]):
        for number, stated in rows:
            try:
                yield _archived(number, json.loads(stated))
            except Forged as error:
                yield error
            except (KeyError, TypeError, ValueError, AttributeError):
                yield Forged(f"What entry {number:,} says of archived events cannot be read.")
        after = rows[-1][0]


def _archived(number: int, said: dict[str, Any]) -> Archived:
    _demand_signed(
        _text({name: value for name, value in said.items() if name != "signature"}),
        str(said.get("signature")),
        f"What entry {number:,} of the audit says of archived events",
    )
    events = EventSum(said["count"], int(said["sum"], 16))
    return Archived(number, said["first"], said["last"], events)


def hold_still() -> int | None:
    """Keep others from anchoring and archiving until the caller's transaction ends.

    Returns:
        the id of the last event that is anchored; None: nothing ever was.
    """
    db.execute(_LOCK)
    last = _last()
    return None if last is None else last.up_to


def is_due() -> bool:
    """Whether the last anchor is as old as ``ANCHOR_SECONDS`` say."""
    last = _last()
    if last is None:
        return True
    [(now,)] = db.execute(_NOW)
    # A little earlier: workers look as often as that, and none is to miss its turn by a moment.
    return bool(now - last.at > 0.9 * timedelta(seconds=conf().ANCHOR_SECONDS))


def is_used() -> bool:
    """Whether anchors are exported, or ever were taken."""
    return bool(conf().AUDIT_ANCHOR) or bool(db.execute(_ANY))


def take(patience: float = 5.0, *, wait: bool = True) -> Head | None:
    """Take and export anchors until all that is settled is in one.

    What a transaction writes that has not ended for so long is left for the next one.

    Args:
        patience: for how many seconds transactions that write are waited for.
        wait: for another that takes anchors; else it is left to that one.

    Returns:
        the newest head; None: nothing was written since the last.

    Raises:
        SagaError: the store does not take it; whatever the store raises is its cause.
    """
    bound, taken = settled(patience), None
    while (step := _step(bound, store(), wait=wait)) is not None:
        taken = step
        if bound is None or step.up_to >= bound:
            break
    return taken


def settled(patience: float) -> int | None:
    """The id of an event below which none can appear any more; None: writers take too long."""
    [(bound, writer)] = db.execute(_BOUND)
    until = time.monotonic() + patience
    pause = 0.01
    while not db.execute(_SETTLED, [writer])[0][0]:
        if time.monotonic() > until:
            return None
        time.sleep(pause)
        pause = min(2 * pause, 0.5)
    return int(bound)


@db.transacted
def _step(bound: int | None, to: Store | None, *, wait: bool) -> Head | None:
    """One anchor, in one transaction; it exists if the store has taken it."""
    if not db.execute(_LOCK if wait else _TRY_LOCK)[0][0] and not wait:
        return None
    last = _last()
    if last is not None:
        _compare_audit(last)
    [(number, at)] = db.execute(_NUMBER)
    entry, digest = (db.execute(_AUDIT) or [(0, "0" * 64)])[0]
    head = Head(number, at, entry, digest, *_added(last, bound))
    if head.same_as(last or Head()):
        return None
    line = head.line()
    db.execute(_INSERT, [number, at, line])
    if to is not None:
        _export(to, line)
    return head


def _added(last: Head | None, bound: int | None) -> tuple[int, EventSum]:
    if last is None:
        believed = (one for one in archives() if isinstance(one, Archived))
        last = Head(events=sum((one.events for one in believed), EventSum()))
    if bound is None or bound <= last.up_to:
        return last.up_to, last.events
    params = {"after": last.up_to, "up_to": bound, "most": _MOST}
    rows = db.execute(HASHES, params)
    up_to = rows[-1][0] if len(rows) == _MOST else bound
    return up_to, last.events.with_hashes(bytes(one) for _, one in rows)


def _last() -> Head | None:
    """The newest head that is ours: whoever writes to the table cannot sign."""
    seen = 0
    while rows := db.execute(_NEWEST, [seen, 1000 if seen else 1]):
        for number, line in rows:
            try:
                head = parsed(line)
            except Forged as error:
                logger.error("Row %s of sagas_anchor is passed over: %s", number, error)
                continue
            if head is not None and head.number == number:
                return head
            logger.error("Row %s of sagas_anchor is passed over: it is not ours.", number)
        seen += len(rows)
    return None


def _compare_audit(last: Head) -> None:
    if last.entry and db.execute(_ENTRY, [last.entry]) != [(last.hash,)]:
        logger.error(
            "The audit is not what was anchored at %s: entry %s is another or gone. Run "
            "manage.py audit verify.",
            last.at.isoformat(),
            last.entry,
        )


def _export(to: Store, line: str) -> None:
    try:
        to.append(line)
    except Exception as error:
        raise SagaError(
            f"The anchor could not be written to SAGAS['AUDIT_ANCHOR']: {type(error).__name__}: "
            f"{error}."
        ) from error


def _demand_signed(text: str, signature: str, what: str) -> None:
    held = keys.holds(signature, text)
    if held is None:
        raise Forged(
            f"{what} is signed with a key that is not known. If it is a former one, list it in "
            "SAGAS['AUDIT_KEY_FALLBACKS']."
        )
    if not held:
        raise Forged(f"{what} was forged: its signature is not that of our key.")


def _text(plain: Mapping[str, Any]) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))

"""Does the database hold what was anchored? Reads every event, as of one moment."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate

from sagas import db
from sagas.operate.anchor import HASHES, Archived, EventSum, Forged, Head, archives, parsed
from sagas.wording import clock

_BATCH = 10_000
_LOWEST = -(1 << 63)  # the sequence begins at 1, but whoever forges events need not


@dataclass(frozen=True, slots=True)
class Anchors:
    """What the lines of a store say.

    Attributes:
        heads: by the last event that each tells of.
        problems: lines that are not ours; ``unread``: how many tell of no head.
    """

    heads: list[Head] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unread: int = 0

    @property
    def last(self) -> Head | None:
        """The newest."""
        return max(self.heads, key=lambda head: head.number, default=None)


def collected(lines: Iterable[str]) -> Anchors:
    """Read the lines of a store. One that power loss has torn is only counted."""
    heads, problems, unread = [], [], 0
    for line in filter(str.strip, lines):
        try:
            head = parsed(line)
        except Forged as error:
            problems.append(str(error))
            continue
        unread += head is None
        heads += [head] if head is not None else []
    return Anchors(sorted(heads, key=lambda head: (head.up_to, head.number)), problems, unread)


def audit_problems(heads: Iterable[Head], entries: Mapping[int, str]) -> Iterator[str]:
    """What the audit lacks of what was anchored.

    Args:
        entries: the hashes of entries by their numbers, at least of those that heads name.
    """
    for head in sorted(heads, key=lambda head: head.number):
        when = clock(head.at)
        if head.entry and head.entry not in entries:
            yield f"entry {head.entry:,} of the audit is gone; it was anchored at {when}"
        elif head.entry and entries[head.entry] != head.hash:
            yield f"entry {head.entry:,} of the audit is another than was anchored at {when}"


def event_problems(heads: list[Head]) -> Iterator[str]:
    """What events lack of what was anchored, but for those that archives removed.

    Args:
        heads: by the last event that each tells of.
    """
    if not heads:
        return
    with db.snapshot():
        removed = list(archives())
        sums = _sums([head.up_to for head in heads])
        found = [next(sums) for _ in heads]
    yield from (str(one) for one in removed if isinstance(one, Forged))
    archived = _Removals(heads, [one for one in removed if isinstance(one, Archived)])
    before, known, gone = EventSum(), 0, EventSum()
    for number, (head, present) in enumerate(zip(heads, found, strict=True)):
        gone += archived.since[number]
        if archived.later[number] <= head.up_to:
            continue  # an archive has removed runs that this one saw half of
        if (lack := head.events - present - gone) != before:
            yield _told(known, head, lack - before)
            before = lack
        known = head.up_to


class _Removals:
    """What archives removed, by the first head that had seen all of it, or that came after it.

    Attributes:
        since: for each head, the events that count from it on.
        later: for each head, the lowest id among events that count only after it.
    """

    def __init__(self, heads: list[Head], stated: list[Archived]) -> None:
        ids = [head.up_to for head in heads]
        entries = list(accumulate((head.entry for head in heads), max))
        self.since = [EventSum()] * (len(heads) + 1)
        firsts: list[float] = [math.inf] * (len(heads) + 1)
        for one in stated:
            place = min(bisect_left(ids, one.last), bisect_left(entries, one.entry))
            self.since[place] += one.events
            firsts[place] = min(firsts[place], one.first)
        self.later = list(accumulate(reversed(firsts[1:]), min))[::-1]


def _sums(bounds: list[int]) -> Iterator[EventSum]:
    """The sum of the events that are there up to each id; ids in their order."""
    total, after = EventSum(), _LOWEST
    for bound in bounds:
        while rows := db.execute(HASHES, {"after": after, "up_to": bound, "most": _BATCH}):
            total = total.with_hashes(bytes(one) for _, one in rows)
            after = rows[-1][0]
        yield total


def _told(known: int, head: Head, lack: EventSum) -> str:
    which = f"the events {known + 1:,} to {head.up_to:,}, anchored at {clock(head.at)}"
    if lack.count > 0:
        return f"{which}: {lack.count:,} are gone"
    if lack.count < 0:
        return f"{which}: {-lack.count:,} were added since"
    return f"{which}: they are not as they were written"

"""The audit at the command line: verified, and written out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sagas.errors import SagaError
from sagas.management.console import Console
from sagas.operate import anchor
from sagas.operate.anchored import Anchors, audit_problems, collected, event_problems
from sagas.operate.audit import FIELDS, Link, chain, problems
from sagas.wording import clock

_EVERY = 1000  # entries between two signs of progress


def verify(
    console: Console,
    head: tuple[int, str] | None = None,
    lines: Iterable[str] | None = None,
) -> str:
    """Follow the chain, print what is wrong with it, and say what its last entry is.

    Args:
        head: number and hash of an entry as it was noted before.
        lines: anchors; audit and events must hold what they say. None: there are none.

    Raises:
        SagaError: the chain is broken, or the noted entry or what was anchored is gone or another.
    """
    anchors = collected(lines or ())
    wanted, noted = {one.entry for one in anchors.heads}, {}
    broken, last = 0, Link(0, "", "0" * 64, "", "")
    for link, problem in problems(chain()):
        last = link
        if problem:
            broken += 1
            console.say(f"{link.number} {problem}")
        if link.number in wanted or (head is not None and link.number == head[0]):
            noted[link.number] = link.hash
        if link.number % _EVERY == 0:
            console.progress(f"{link.number:,} entries checked")
    other = [*anchors.problems, *audit_problems(anchors.heads, noted)]
    other += event_problems(anchors.heads)
    for problem in other:
        console.say(problem)
    _complain(broken, last, head, noted.get(head[0]) if head is not None else None)
    if other:
        raise SagaError(
            f"Audit or events are not what was anchored: {len(other):,} "
            f"{'difference' if len(other) == 1 else 'differences'}. Compare them with a backup."
        )
    return (
        f"Checked {last.number:,} {'entry' if last.number == 1 else 'entries'}: each is there and "
        f"as it was written.\n{_anchored(anchors, lines is not None)}\n"
        f"Note this elsewhere, and give it as --head next time: {last.number}:{last.hash}"
    )


def anchored(head: anchor.Head | None) -> str:
    """What was anchored, in a line."""
    if head is None:
        return "Nothing was written since the last anchor."
    return (
        f"Anchor {head.number:,}: the audit up to entry {head.entry:,}, and "
        f"{head.events.count:,} events up to {head.up_to:,}."
    )


def export(after: int = 0) -> Iterator[dict[str, Any]]:
    """Entries as plain data, each with the text that its hash was computed of (SHA-256).

    Args:
        after: only entries above this number.
    """
    for link in chain(after=after):
        values = json.loads(link.text)
        yield {**dict(zip(FIELDS, values, strict=True)), "hash": link.hash, "text": link.text}


def _anchored(anchors: Anchors, given: bool) -> str:
    if (last := anchors.last) is None:
        return (
            "No anchor was found: nothing of this can be told from a chain that was made anew."
            if given
            else "SAGAS['AUDIT_ANCHOR'] is not set: a chain that was made anew would pass."
        )
    unread = f" {anchors.unread:,} lines tell of none." if anchors.unread else ""
    return (
        f"All {len(anchors.heads):,} anchors hold. The last is of {clock(last.at)}: "
        f"the audit up to entry {last.entry:,}, {last.events.count:,} events up to "
        f"{last.up_to:,}.{unread}"
    )


def _complain(broken: int, last: Link, head: tuple[int, str] | None, noted: str | None) -> None:
    if broken:
        raise SagaError(
            f"Checked the audit up to entry {last.number:,}: {broken:,} of its entries are not as "
            "they were written, or follow a gap. Compare it with an export or a backup."
        )
    if head is not None and noted is None:
        raise SagaError(f"Entry {head[0]:,} is gone: the last is {last.number:,}.")
    if head is not None and noted != head[1]:
        raise SagaError(f"Entry {head[0]:,} is another one than was noted: the chain was rebuilt.")

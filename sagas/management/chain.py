"""The audit at the command line: verified, and written out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sagas.errors import SagaError
from sagas.management.console import Console
from sagas.operate.audit import FIELDS, Link, chain, problems

_EVERY = 1000  # entries between two signs of progress


def verify(console: Console, head: tuple[int, str] | None = None) -> str:
    """Follow the chain, print what is wrong with it, and say what its last entry is.

    Args:
        head: number and hash of an entry as it was noted before.

    Raises:
        SagaError: the chain is broken, or the noted entry is gone or another.
    """
    broken, last, noted = 0, Link(0, "", "0" * 64, "", ""), None
    for link, problem in problems(chain()):
        last = link
        if problem:
            broken += 1
            console.say(f"{link.number} {problem}")
        if head is not None and link.number == head[0]:
            noted = link.hash
        if link.number % _EVERY == 0:
            console.progress(f"{link.number:,} entries checked")
    _complain(broken, last, head, noted)
    return (
        f"Checked {last.number:,} {'entry' if last.number == 1 else 'entries'}: each is there and "
        f"as it was written.\nNote this elsewhere, and give it as --head next time: "
        f"{last.number}:{last.hash}"
    )


def export(after: int = 0) -> Iterator[dict[str, Any]]:
    """Entries as plain data, each with the text that its hash was computed of (SHA-256).

    Args:
        after: only entries above this number.
    """
    for link in chain(after=after):
        values = json.loads(link.text)
        yield {**dict(zip(FIELDS, values, strict=True)), "hash": link.hash, "text": link.text}


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

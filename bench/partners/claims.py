"""What a measurement says: figures, and claims that hold or do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that must hold, with what was seen."""

    what: str
    seen: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Findings:
    """What one measurement found."""

    title: str
    setup: str
    figures: Sequence[tuple[str, str]] = ()
    claims: Sequence[Claim] = ()
    table: Sequence[Sequence[str]] = field(default=())

    @property
    def hold(self) -> bool:
        """Whether every claim holds."""
        return all(claim.holds for claim in self.claims)


def text(findings: Findings) -> str:
    """The findings as people read them."""
    lines = [f"== {findings.title}", findings.setup]
    lines += [f"  {name:<58} {value}" for name, value in findings.figures]
    lines += _columns(findings.table)
    lines += [f"  [{'ok' if c.holds else 'NOT'}] {c.what}: {c.seen}" for c in findings.claims]
    return "\n".join(lines)


def _columns(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    ]

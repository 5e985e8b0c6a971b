"""Sparklines: how many runs ended in each hour, as a small SVG of bars."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

_WIDTH, _GAP, _HEIGHT = 4, 1, 24


def sparkline(ended: Sequence[int], failed: Sequence[int], what: str) -> SafeString:
    """A bar for each hour, the oldest first, and within it the part that did not succeed.

    Its twin in words is read by screen readers, and seen by whoever points at it.

    Args:
        ended: how many runs ended in each hour.
        failed: as many of them did not succeed.
        what: whose runs they are.
    """
    most = max(ended, default=0) or 1
    bars = [
        part
        for place, (total, bad) in enumerate(zip(ended, failed, strict=True))
        for part in (
            _bar("spark-ended", place, total, most),
            _bar("spark-failed", place, bad, most),
        )
        if part is not None
    ]
    words = in_words(ended, failed, what)
    return format_html(
        '<svg class="spark" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" '
        'aria-label="{2}"><title>{2}</title>{3}</svg>',
        len(ended) * (_WIDTH + _GAP),
        _HEIGHT,
        words,
        format_html_join("", '<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', bars),
    )


def in_words(ended: Sequence[int], failed: Sequence[int], what: str) -> str:
    """The same as a sentence."""
    if not sum(ended):
        return f"{what}: no run ended in the last {len(ended)} hours"
    hours = ", ".join(map(str, ended))
    return (
        f"{what}: {sum(ended)} runs ended in the last {len(ended)} hours, "
        f"{sum(failed)} of them not in success; by hour, the oldest first: {hours}"
    )


def _bar(kind: str, place: int, value: int, most: int) -> tuple[str, int, int, int, int] | None:
    if not value:
        return None
    height = max(1, round(value * _HEIGHT / most))
    return kind, place * (_WIDTH + _GAP), _HEIGHT - height, _WIDTH, height

"""What a partner's ledger says of when it was called."""

from __future__ import annotations

from collections.abc import Sequence


def busiest(moments: Sequence[float], window: float = 1.0) -> int:
    """The most calls within any `window` seconds, wherever it begins.

    Args:
        moments: when the calls came, in seconds.
    """
    moments = sorted(moments)
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


def rate(moments: Sequence[float]) -> float:
    """Calls a second from the first to the last; 0 if there are not two."""
    if len(moments) < 2 or max(moments) == min(moments):
        return 0.0
    return (len(moments) - 1) / (max(moments) - min(moments))


def within(moments: Sequence[float], since: float, until: float) -> int:
    """How many came in that time, its end not included."""
    return sum(since <= moment < until for moment in moments)


def hundredth(values: Sequence[float], number: int) -> float:
    """The value below which so many hundredths lie (nearest rank); 0 of none."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * number // 100) - 1)] if ranked else 0.0

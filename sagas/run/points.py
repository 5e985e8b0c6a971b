"""Named moments of the protocol at which a crash must lose nothing.

K1 claimed, before the call · K2 during the call · K3 answered, before the commit · K4 committed,
before the dispatch · K5 dispatched, before the message is acknowledged · K7 run committed, before
its first message. (K6 is any of these in a compensation.) ``sagas.testing`` kills there.
"""

from __future__ import annotations

from collections.abc import Callable

#: Called with the point, the step's name and its direction; set by tests only.
on_reached: Callable[[str, str, str], None] | None = None


def reached(point: str, step: str = "", direction: str = "") -> None:
    """Mark a moment of the protocol; does nothing outside of tests."""
    if on_reached is not None:
        on_reached(point, step, direction)

"""Time: no call outlasts what its step has left, or what the partner is given.

Keeps no state, so it knows no failing Redis.
"""

from __future__ import annotations

import time
from dataclasses import replace

from integrations.call import Call
from integrations.resilience.conf import policies
from integrations.resilience.policy import Ask, Result

HEADER = "X-Envoy-Expected-Rq-Timeout-Ms"
"""Tells a partner how many milliseconds somebody will still wait for its answer, so that it need
not work for nobody. HTTP has no standard for it; this is what Envoy and its meshes send."""


def in_time(call: Call, ask: Ask[Result]) -> Result:
    """Ask within the partner's total time, or the step's if that is shorter.

    Raises PartnerUnavailable if there is none left.
    """
    call.check_time()
    latest = time.monotonic() + policies(call.partner).timeouts.total
    return ask(call if call.deadline <= latest else replace(call, deadline=latest))


def limits(call: Call) -> tuple[float, float]:
    """Seconds to reach the partner, and of its silence, within the time of the call."""
    timeouts = policies(call.partner).timeouts
    left = max(call.remaining, 0.001)
    return min(left, timeouts.connect), min(left, timeouts.read)


def header(call: Call) -> dict[str, str]:
    """What tells the partner how long the call will wait."""
    return {HEADER: str(max(1, int(call.remaining * 1000)))}

"""The circuit breaker: a partner that fails or crawls is left alone, then tried by one call.

Closed, it counts the calls of a rolling window. When enough of them failed, or were slow, it opens:
nobody asks. After the cool-down one call of one worker is let through as a probe, under a lease, so
that a prober that dies blocks nobody. If the probe is answered, the breaker closes; if it fails, it
opens again, for twice as long. Each change begins a new generation, and what belongs to an older
one changes nothing. (Nygard, "Release It!", 2nd edition, 2018, chapter 5.)

Only the partner's health counts: no answer, an answer of 5xx, silence. A refusal is an answer, and
a 429 is about us. An opening is decided on a bad call only, never on a good one.

**Without Redis it fails open** (calls pass): its deadline still bounds each call, and the partner
is most likely well. Nobody could be told to wait for what nobody can see the end of.
"""

from __future__ import annotations

from integrations.resilience.gate import SharedPolicy

BUCKETS = 10
"""So many parts of the window leave it one by one (Hystrix: 10). The part in Lua says the same."""
TROUBLED = "troubled"
"""The key of the set of partners whose breakers have opened."""


def key(partner: str) -> str:
    """The key of a partner's breaker."""
    return f"breaker:{partner}"


BREAKER = SharedPolicy(
    "breaker",
    refusal=lambda call: "its circuit breaker is open",
    keys=lambda call: (key(call.partner), TROUBLED),
)

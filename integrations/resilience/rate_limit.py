"""The rate limit: so many calls a second to a partner on one of our accounts, over all workers.

A token bucket, kept as the one number that GCRA needs: the theoretical arrival time of the next
call (ITU-T I.371; the form for APIs is that of Redis-Cell). Who finds no token is told when to come
back by a virtual queue that moves on by nearly one call's time for each, so that they come one by
one. A saga waits for that as a row with a due time; no worker sleeps.

A 429 shuts the bucket for all workers until its Retry-After is over (RFC 6585, RFC 9110).

**Without Redis it fails closed where a rate is set** (calls wait): somebody set it because more
costs more than waiting does, money or the account; and nobody could say how many others are asking.
Where none is set, calls pass.
"""

from __future__ import annotations

from integrations.resilience.gate import SharedPolicy

RATE_LIMIT = SharedPolicy(
    "rate_limit",
    refusal=lambda call: "the budget of its rate limit is spent",
    keys=lambda call: (f"rate:{call.partner}:{call.credential}",),
    closed=lambda settings: settings.rate.per_second is not None,
)

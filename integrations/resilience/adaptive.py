"""Adaptive concurrency: the bulkhead's limits follow what the partner can take.

How much longer than at rest do calls take? Time at rest is the shortest seen lately, for each
operation by itself, so that a quick one does not make a slow one look overloaded. Beyond the
tolerance, or when the partner says that it has too much, the limit is multiplied with the backoff,
at most once in a call's time; else it rises by one per limit's worth of calls, while at least half
of the places are taken. (AIMD: Chiu and Jain, 1989; with details of Netflix's concurrency-limits.
That the limit drops to half once a window, so that time at rest is seen again, is BBR's PROBE_RTT:
Cardwell et al., ACM Queue, 2016.)

Off by default. **Without Redis** there is no bulkhead whose limit it could move.
"""

from __future__ import annotations

from integrations.resilience.gate import SharedPolicy, pool

ADAPTIVE = SharedPolicy("adaptive", keys=lambda call: (f"adaptive:{call.partner}:{pool(call)}",))

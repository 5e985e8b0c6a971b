"""The bulkhead: so many calls to a partner at a time, and no more, over all workers.

A partner that hangs then holds a few workers and not all of them, and calls that nobody waits for
cannot take the places of those that somebody does: each partner has two pools. (Nygard, "Release
It!", chapter 5; bounded at the client as in Google's SRE book, "Addressing Cascading Failures".)

A place is a lease in a sorted set, by when it lapses: a process that dies gives its place back when
its call would have ended. Who finds none free is told when to come back by a virtual queue: a place
gets free every latency / limit seconds (Little's law), and each who asks in vain is given the next
of these moments. So they come back one by one, and no worker waits.

**Without Redis it fails open** (calls pass): workers have few processes, and calls have deadlines.
"""

from __future__ import annotations

from integrations.call import Call
from integrations.resilience.gate import SharedPolicy, pool


def _keys(call: Call) -> tuple[str, ...]:
    whose = f"{call.partner}:{pool(call)}"
    return f"places:{whose}", f"queue:{whose}"


BULKHEAD = SharedPolicy(
    "bulkhead",
    refusal=lambda call: f"all places of its {pool(call)} pool are taken",
    keys=_keys,
)

"""The engine's own Django signals: where others tell it something, or do something in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.dispatch import Signal


class Health(StrEnum):
    """How a partner is doing."""

    OK = "ok"  # it answers
    DEGRADED = "degraded"  # it answers late, or not always
    DOWN = "down"  # it does not answer
    UNKNOWN = "unknown"  # nobody can tell


@dataclass(frozen=True, slots=True)
class PartnerHealth:
    """What somebody knows of a partner.

    Attributes:
        name: as steps name it in ``partner=``.
        detail: in words, such as what its circuit breaker has seen.
        since: since when it is so.
        probe_at: when one call finds out whether it is back.
    """

    name: str
    state: Health
    detail: str = ""
    since: datetime | None = None
    probe_at: datetime | None = None


#: Sent when the overview is drawn. A receiver gives one ``PartnerHealth`` or several, at once: it
#: reads what it already knows and calls nobody.
partner_health = Signal()

#: Sent in each worker's sweeping thread after each sweep, about once a second: for what must be
#: done again and again, in every worker and without beat. A receiver is brief, for the next sweep
#: waits for it; leases are renewed elsewhere. One that raises is logged, and harms neither the
#: sweep nor the others; what one leaves open on a connection to a database is rolled back.
swept = Signal()

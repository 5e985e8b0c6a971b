"""Old snapshots: while one is held, PostgreSQL keeps all rows that have died since.

Sessions hold one (also those that are idle in a transaction), prepared transactions do, and
replication slots.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sagas import db

logger = logging.getLogger("sagas.snapshots")

#: A transaction that is older than this is one that somebody has forgotten, or a very long report.
OLD_SECONDS = 600.0
_OLD = """
SELECT 'session ' || pid || ' of ' || coalesce(usename, '?')
    || coalesce(' (' || nullif(application_name, '') || ')', '') || ', ' || coalesce(state, '?'),
  extract(epoch FROM clock_timestamp() - xact_start)::float8,
  'SELECT pg_terminate_backend(' || pid || ')'
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend'
  AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
  AND xact_start < clock_timestamp() - %(old)s::float8 * interval '1 second'
UNION ALL
SELECT 'prepared transaction ' || quote_literal(gid) || ' of ' || owner,
  extract(epoch FROM clock_timestamp() - prepared)::float8,
  'ROLLBACK PREPARED ' || quote_literal(gid)
FROM pg_prepared_xacts
WHERE database = current_database()
  AND prepared < clock_timestamp() - %(old)s::float8 * interval '1 second'
UNION ALL
SELECT 'replication slot ' || slot_name, NULL,
  'SELECT pg_drop_replication_slot(' || quote_literal(slot_name) || ')'
FROM pg_replication_slots WHERE NOT active AND xmin IS NOT NULL
ORDER BY 2 DESC NULLS LAST"""


@dataclass(frozen=True, slots=True)
class Holder:
    """What holds an old snapshot.

    Attributes:
        seconds: for how long; None: the server does not say.
        end: the statement that ends it.
    """

    name: str
    seconds: float | None
    end: str

    def __str__(self) -> str:
        since = f"for {self.seconds / 60:.0f} min" if self.seconds is not None else "unused"
        return f"{self.name}, {since}"


def holders() -> list[Holder]:
    """What holds an old snapshot, the oldest first.

    Sessions of other users are told only to members of ``pg_read_all_stats``.
    """
    return [Holder(*row) for row in db.execute(_OLD, {"old": OLD_SECONDS})]


class Watch:
    """Warns in the log of each holder, once."""

    def __init__(self) -> None:
        self._told: frozenset[str] = frozenset()

    def __call__(self) -> None:
        """Look, and warn of those that are new."""
        found = {holder.end: holder for holder in holders()}
        for end in found.keys() - self._told:
            logger.warning(
                "PostgreSQL cannot remove dead rows, so queries get slower: an old snapshot is "
                "held by %s. %s ends it.",
                found[end],
                end,
            )
        self._told = frozenset(found)

"""Runs that need a person, grouped by what stopped them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sagas import db
from sagas.operate.attention import STOP
from sagas.states import RunStatus

#: Of how many runs that need attention, the newest, the groups are counted.
COUNTED = 5_000

_GROUPS = f"""
SELECT error_group, count(*), min(stopped), max(stopped), array_agg(DISTINCT saga),
  clock_timestamp()
FROM (SELECT r.error_group, r.saga, coalesce((
        SELECT e.at FROM sagas_event e WHERE e.run_id = r.id AND {STOP}
        ORDER BY e.id DESC LIMIT 1), r.created_at) AS stopped
      FROM sagas_run r WHERE r.status = '{RunStatus.NEEDS_ATTENTION}'
        AND (%(sagas)s::text[] IS NULL OR r.saga = ANY(%(sagas)s))
      ORDER BY r.id DESC LIMIT %(counted)s) newest
GROUP BY error_group ORDER BY count(*) DESC, max(stopped) DESC LIMIT %(most)s"""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """What stopped so many runs. Its name is empty where nobody knows.

    Attributes:
        first: when the first of these runs stopped for it; ``last``: the last.
        now: the database's time of counting.
    """

    name: str
    count: int
    first: datetime
    last: datetime
    sagas: tuple[str, ...]
    now: datetime


def error_groups(
    sagas: Iterable[str] | None, most: int = 20, counted: int = COUNTED
) -> list[ErrorGroup]:
    """The largest groups first.

    Args:
        sagas: only runs of these; None: of all.
        most: how many groups at most.
        counted: among how many runs that need attention, the newest.
    """
    within = None if sagas is None else sorted(sagas)
    rows = db.execute(_GROUPS, {"sagas": within, "counted": counted, "most": most})
    return [
        ErrorGroup(name, count, first, last, tuple(sagas_of), now)
        for name, count, first, last, sagas_of, now in rows
    ]

"""Figures of each saga: what is unfinished, and how the last day's runs ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sagas import db
from sagas.states import TERMINAL_RUNS, RunStatus

#: Of how many runs in each state that is not over, and of how many of all, the newest.
UNFINISHED, NEWEST = 2_000, 10_000
HOURS = 24

# The index is asked for each state by itself: so no state is left out where there are too many.
_UNFINISHED = """
SELECT saga, status, count(*)
FROM unnest(%(statuses)s::text[]) AS states(state) CROSS JOIN LATERAL (
  SELECT saga, status FROM sagas_run
  WHERE status = state AND status NOT IN ('succeeded', 'compensated', 'resolved')
    AND (%(sagas)s::text[] IS NULL OR saga = ANY(%(sagas)s::text[]))
  ORDER BY id DESC LIMIT %(most)s) counted
GROUP BY saga, status"""
_STATUSES = [status.value for status in RunStatus if status not in TERMINAL_RUNS]

# The hours are the clock's, not counted back from now: so the page stays the same within one.
_FINISHED = """
WITH this AS (SELECT date_trunc('hour', statement_timestamp()) + interval '1 hour' AS hour),
newest AS (
  SELECT saga, status, created_at, finished_at FROM sagas_run
  WHERE %(sagas)s::text[] IS NULL OR saga = ANY(%(sagas)s::text[])
  ORDER BY id DESC LIMIT %(most)s),
ended AS (
  SELECT saga, status, date_part('epoch', finished_at - created_at) AS took,
    ceil(date_part('epoch', hour - finished_at) / 3600)::int - 1 AS ago
  FROM newest, this WHERE finished_at >= hour - %(hours)s * interval '1 hour')
SELECT saga, ago, count(*), count(*) FILTER (WHERE status <> 'succeeded'), NULL, NULL
FROM ended GROUP BY saga, ago
UNION ALL
SELECT saga, NULL, 0, 0, percentile_cont(0.5) WITHIN GROUP (ORDER BY took),
  percentile_cont(0.95) WITHIN GROUP (ORDER BY took)
FROM ended GROUP BY saga
UNION ALL SELECT '', NULL, 0, 0, date_part('epoch', clock_timestamp()), NULL"""


@dataclass(slots=True)
class SagaFigures:
    """One saga's.

    Attributes:
        unfinished: runs that are not over, by status.
        ended: the runs that ended in each of the last 24 hours, the oldest hour first.
        failed: as many of these did not succeed.
        median: seconds that half of them took at most; ``slow``: 95 in 100.
    """

    name: str
    unfinished: dict[str, int] = field(default_factory=dict)
    ended: list[int] = field(default_factory=lambda: [0] * HOURS)
    failed: list[int] = field(default_factory=lambda: [0] * HOURS)
    median: float | None = None
    slow: float | None = None

    @property
    def active(self) -> int:
        """Runs that go on by themselves."""
        return sum(n for s, n in self.unfinished.items() if s != RunStatus.NEEDS_ATTENTION)

    @property
    def rate(self) -> float | None:
        """Which part of the runs that ended did not succeed; None if none has ended."""
        total = sum(self.ended)
        return sum(self.failed) / total if total else None


def figures(sagas: Collection[str] | None) -> tuple[Sequence[SagaFigures], bool, datetime]:
    """The figures of every saga that has runs, by name, in two statements.

    Args:
        sagas: only of these; None: of all.

    Returns:
        the figures, whether more runs are unfinished than were counted, and the database's time.
    """
    within = None if sagas is None else sorted(sagas)
    found: dict[str, SagaFigures] = {}
    counted: dict[str, int] = {}
    params = {"statuses": _STATUSES, "sagas": within, "most": UNFINISHED}
    for name, status, count in db.execute(_UNFINISHED, params):
        found.setdefault(name, SagaFigures(name)).unfinished[status] = count
        counted[status] = counted.get(status, 0) + count
    capped = max(counted.values(), default=0) >= UNFINISHED
    now = _add_ended(found, within)
    return sorted(found.values(), key=lambda saga: saga.name), capped, now


def _add_ended(found: dict[str, SagaFigures], within: Sequence[str] | None) -> datetime:
    now = 0.0
    params: Mapping[str, object] = {"sagas": within, "most": NEWEST, "hours": HOURS}
    for name, ago, ended, failed, median, slow in db.execute(_FINISHED, params):
        if not name:
            now = median
            continue
        saga = found.setdefault(name, SagaFigures(name))
        if ago is None:
            saga.median, saga.slow = median, slow
        elif 0 <= ago < HOURS:
            saga.ended[HOURS - 1 - ago], saga.failed[HOURS - 1 - ago] = ended, failed
    return datetime.fromtimestamp(now, UTC)

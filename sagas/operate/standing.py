"""Where active runs stand: what the overview tells of queues, workers and partners."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sagas import db
from sagas.define import registry
from sagas.define.step import Step
from sagas.errors import UnknownSaga
from sagas.models import HoldKind
from sagas.run.queues import default_queue
from sagas.states import CLAIMABLE_STEPS, StepStatus, sql_list

#: How many active runs are looked at: those that a sweep will look at soonest.
LOOKED = 1_000

_STANDING = f"""
SELECT r.saga, r.version, s.name, s.status, s.worker, s.tries > 0, s.due_at <= clock_timestamp(),
  count(*), min(s.due_at), (SELECT count(*) FROM soon), clock_timestamp()
FROM soon r JOIN LATERAL (
  SELECT * FROM sagas_step WHERE run_id = r.id
    AND status IN ({sql_list(CLAIMABLE_STEPS)}) OFFSET 0) s ON true
GROUP BY 1, 2, 3, 4, 5, 6, 7"""
_SOON = """
WITH soon AS MATERIALIZED (
  SELECT id, saga, version FROM sagas_run
  WHERE wake_at IS NOT NULL AND (%(sagas)s::text[] IS NULL OR saga = ANY(%(sagas)s::text[]))
  ORDER BY wake_at LIMIT %(most)s)"""


@dataclass(frozen=True, slots=True)
class Group:
    """So many steps that stand alike.

    Attributes:
        definition: as the code declares the step; None if it does not any more.
        due: whether a worker could take them now.
        oldest: since when the one that waits longest could be taken.
    """

    definition: Step | None
    status: StepStatus
    worker: str
    tried: bool
    due: bool
    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """All groups; ``runs``: how many runs were looked at."""

    groups: Sequence[Group]
    runs: int

    @property
    def capped(self) -> bool:
        """Whether there may be more active runs."""
        return self.runs >= LOOKED

    @property
    def flying(self) -> dict[str, int]:
        """The steps in flight, by worker."""
        found: dict[str, int] = {}
        for group in self.groups:
            if group.status is StepStatus.IN_FLIGHT:
                found[group.worker] = found.get(group.worker, 0) + group.count
        return found

    def waiting(self) -> Iterator[tuple[str, Group]]:
        """The steps that a worker could take now, by queue; of a step that is gone, none."""
        otherwise = default_queue()
        for group in self.groups:
            if group.due and group.definition is not None and group.status is not _FLYING:
                yield group.definition.queue or otherwise, group

    def due_of(self, kind: HoldKind, target: str) -> int:
        """How many steps of a queue or a partner a worker could take now."""
        if kind is HoldKind.QUEUE:
            return sum(group.count for queue, group in self.waiting() if queue == target)
        return sum(g.count for _, g in self.waiting() if _partner(g) == target)


_FLYING = StepStatus.IN_FLIGHT


def standing(sagas: Collection[str] | None) -> Standing:
    """Read it, in one statement.

    Args:
        sagas: only runs of these; None: of all.
    """
    within = None if sagas is None else sorted(sagas)
    rows = db.execute(_SOON + _STANDING, {"sagas": within, "most": LOOKED})
    groups = [
        Group(_declared(saga, version, name), StepStatus(status), worker, *rest)
        for saga, version, name, status, worker, *rest, _, _ in rows
    ]
    return Standing(groups, rows[0][-2] if rows else 0)


def _declared(saga: str, version: int, name: str) -> Step | None:
    try:
        return registry.get(saga, version).steps.get(name)
    except UnknownSaga:
        return None


def _partner(group: Group) -> str | None:
    return group.definition.partner if group.definition is not None else None

"""Unclaimed: signals that no step has taken, each with the reason."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sagas import db
from sagas.conf import conf
from sagas.run.mailbox import EXPIRED
from sagas.states import SETTLED_STEPS, TERMINAL_RUNS


class UnclaimedReason(StrEnum):
    """Why nobody has taken a signal."""

    EXPIRED = "it has expired"
    OVER = "the run that it came for is over"
    SETTLED = "the step that it was handed to is settled without it"
    COMING = "the run that it came for does not wait for it yet"
    NO_RUN = "no run waits for it"


@dataclass(frozen=True, slots=True)
class Unclaimed:
    """A signal that no step has taken. ``run`` is the run that it came for, if there is one."""

    id: int
    name: str
    saga: str
    key: str
    received_at: datetime
    reason: UnclaimedReason
    run: UUID | None


def unclaimed(sagas: Collection[str] | None = None, *, most: int = 100) -> list[Unclaimed]:
    """Signals that no step has taken, the newest first, without those that are on their way.

    Args:
        sagas: only those that are for runs of these; None: all.
        most: how many at most.
    """
    params = {
        "signal_seconds": conf().SIGNAL_SECONDS,
        "sagas": None if sagas is None else sorted(sagas),
        "most": most,
    }
    return [
        Unclaimed(row[0], row[1], row[2], row[3], row[4], UnclaimedReason[row[5]], row[6])
        for row in db.execute(_UNCLAIMED, params)
    ]


def _listed(words: Collection[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


# The run that a signal came for: of the step that it was handed to, of that id, or under the key.
_UNCLAIMED = f"""
SELECT * FROM (
  SELECT g.id, g.name, coalesce(nullif(g.saga, ''), r.saga, ''), g.correlation, g.received_at,
    CASE WHEN r.status IN ({_listed(TERMINAL_RUNS)}) THEN '{UnclaimedReason.OVER.name}'
      WHEN s.status IN ({_listed(SETTLED_STEPS)}, 'pending', 'failed')
        THEN '{UnclaimedReason.SETTLED.name}'
      WHEN g.taken_by_id IS NULL AND {EXPIRED} THEN '{UnclaimedReason.EXPIRED.name}'
      WHEN s.id IS NOT NULL THEN NULL
      WHEN r.id IS NOT NULL THEN '{UnclaimedReason.COMING.name}'
      ELSE '{UnclaimedReason.NO_RUN.name}' END AS reason, r.id
  FROM sagas_signal g
  LEFT JOIN sagas_step s ON s.id = g.taken_by_id
  LEFT JOIN sagas_run r ON r.id = coalesce(s.run_id,
    (SELECT max(k.id::text)::uuid FROM sagas_run k
     WHERE k.business_key = g.correlation AND g.saga IN ('', k.saga)),
    CASE WHEN g.correlation ~ '^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}$'
      THEN g.correlation::uuid END)
  WHERE g.taken_at IS NULL
  ORDER BY g.id DESC) AS u(id, name, saga, key, received_at, reason, run)
WHERE reason IS NOT NULL AND (%(sagas)s::text[] IS NULL OR saga = ANY(%(sagas)s::text[]))
LIMIT %(most)s"""

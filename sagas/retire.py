"""The record's only remover: runs that are over, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sagas import db
from sagas.record import EVENT_HASH
from sagas.states import TERMINAL_RUNS

_TERMINAL = ", ".join(f"'{status}'" for status in sorted(TERMINAL_RUNS))
# What migration 0002 asks of a transaction that removes events.
_ALLOW = "SELECT set_config('sagas.archiving', 'on', true)"
_FORBID = "SELECT set_config('sagas.archiving', 'off', true)"
# The revision has grown if anything was written since, if only a late answer in the log.
_REMOVE = f"""
WITH known AS (SELECT * FROM unnest(%(ids)s::uuid[], %(revisions)s::int[]) AS k(id, revision)),
gone AS (
  SELECT r.id FROM sagas_run r JOIN known k ON k.id = r.id
  WHERE r.revision = k.revision AND r.status IN ({_TERMINAL})
    AND (%(up_to)s::bigint IS NULL OR NOT EXISTS (
      SELECT 1 FROM sagas_event e WHERE e.run_id = r.id AND e.id > %(up_to)s::bigint))
  ORDER BY r.id FOR UPDATE OF r SKIP LOCKED),
signals AS (
  DELETE FROM sagas_signal WHERE taken_by_id IN (
    SELECT s.id FROM sagas_step s WHERE s.run_id IN (SELECT id FROM gone))),
events AS (
  DELETE FROM sagas_event e WHERE e.run_id IN (SELECT id FROM gone)
  RETURNING e.id, {EVENT_HASH} AS hash),
originals AS (DELETE FROM sagas_original WHERE run_id IN (SELECT id FROM gone)),
steps AS (DELETE FROM sagas_step WHERE run_id IN (SELECT id FROM gone)),
runs AS (DELETE FROM sagas_run WHERE id IN (SELECT id FROM gone) RETURNING id)
SELECT (SELECT array_agg(id) FROM runs), (SELECT array_agg(hash) FROM events),
  (SELECT min(id) FROM events), (SELECT max(id) FROM events)"""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed.

    Attributes:
        events: the hash of each event that went with the runs.
        first: the lowest id of these events; ``last``: the highest.
    """

    runs: frozenset[UUID]
    events: Sequence[bytes]
    first: int
    last: int


@db.transacted
def remove(revisions: Mapping[UUID, int], up_to: int | None = None) -> Removed:
    """Remove runs that are over with their steps, events and the signals that they took.

    It waits for nobody: a run that is locked, is not over, or has been written to since is left.

    Args:
        revisions: the runs by id, each with the revision that the caller has seen and kept.
        up_to: leave runs with an event above this id; None: none is left for that.
    """
    params = {"ids": list(revisions), "revisions": list(revisions.values()), "up_to": up_to}
    db.execute(_ALLOW)
    [(runs, events, first, last)] = db.execute(_REMOVE, params)
    db.execute(_FORBID)  # the caller's transaction, if there is one, goes on
    hashes = [bytes(event) for event in events or ()]
    return Removed(frozenset(runs or ()), hashes, first or 0, last or 0)

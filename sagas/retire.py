"""The record's only remover: runs that are over, with all that belongs to them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sagas import db
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
  ORDER BY r.id FOR UPDATE OF r SKIP LOCKED),
signals AS (
  DELETE FROM sagas_signal WHERE taken_by_id IN (
    SELECT s.id FROM sagas_step s WHERE s.run_id IN (SELECT id FROM gone))),
events AS (DELETE FROM sagas_event WHERE run_id IN (SELECT id FROM gone)),
steps AS (DELETE FROM sagas_step WHERE run_id IN (SELECT id FROM gone))
DELETE FROM sagas_run WHERE id IN (SELECT id FROM gone) RETURNING id"""


@db.transacted
def remove(revisions: Mapping[UUID, int]) -> set[UUID]:
    """Remove runs that are over with their steps, events and the signals that they took.

    It waits for nobody: a run that is locked, is not over, or has been written to since is left.

    Args:
        revisions: the runs by id, each with the revision that the caller has seen and kept.

    Returns:
        the runs that were removed.
    """
    params = {"ids": list(revisions), "revisions": list(revisions.values())}
    db.execute(_ALLOW)
    removed = {run_id for (run_id,) in db.execute(_REMOVE, params)}
    db.execute(_FORBID)  # the caller's transaction, if there is one, goes on
    return removed

"""Phase 6, recover: every worker sends again what the broker lost and what has become due."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from sagas import db, record
from sagas.conf import conf
from sagas.define.view import RunView, StepView
from sagas.errors import UnknownRun
from sagas.identity import identity
from sagas.run.dispatch import definition_of
from sagas.run.send import send
from sagas.states import ACTIVE_RUNS, Direction, RunStatus, StepStatus

logger = logging.getLogger("sagas.recover")

_OPEN = frozenset({StepStatus.READY, StepStatus.WAITING, StepStatus.UNKNOWN})
_ACTIVE = [s.value for s in (RunStatus.PENDING, RunStatus.RUNNING, RunStatus.COMPENSATING)]
# Whole runs are locked: two sweepers that took one branch each would both send both.
# The lapse of the wake-up is pushed before the message is sent: a crash between the two costs
# one more wait, never a storm. The time of the statement, unlike the clock's, bounds an index scan:
# else every sweep would read whatever is scheduled for later.
_WAKE = """
WITH due AS (
  SELECT id FROM sagas_run
  WHERE id IN (SELECT run_id FROM sagas_step WHERE wake_at <= statement_timestamp()
               ORDER BY wake_at LIMIT %(batch)s)
  FOR NO KEY UPDATE SKIP LOCKED),
woken AS (
  UPDATE sagas_step s
  SET wake_at = clock_timestamp() + make_interval(secs => %(resend)s::float8 * (1 + random()))
  FROM due WHERE s.run_id = due.id AND s.wake_at <= statement_timestamp() RETURNING s.run_id)
SELECT DISTINCT r.id FROM woken JOIN sagas_run r ON r.id = woken.run_id
WHERE r.status = ANY(%(active)s)"""

# Only what runs short is renewed, so that quick steps cost nothing; and never beyond the step's
# own limit, so that a hung step is taken over.
_RENEW = """
WITH mine AS (
  SELECT id FROM sagas_step
  WHERE wake_at <= statement_timestamp() + make_interval(secs => %(lease)s::float8 / 2)
    AND status = 'in_flight' AND worker = %(worker)s AND pid = ANY(%(pids)s)
    AND limit_at > clock_timestamp()
  FOR UPDATE SKIP LOCKED)
UPDATE sagas_step s
SET lease_until = least(limit_at, clock_timestamp() + make_interval(secs => %(lease)s::float8)),
    wake_at = least(limit_at, clock_timestamp() + make_interval(secs => %(lease)s::float8))
FROM mine WHERE s.id = mine.id RETURNING s.id"""


def sweep() -> int:
    """Send what is due: retries, timers, lapsed leases, lost messages. Gives how many runs."""
    settings = conf()
    rows = db.execute(
        _WAKE,
        {"batch": settings.SWEEP_BATCH, "resend": settings.RESEND_SECONDS, "active": _ACTIVE},
    )
    return sum(_nudged(run_id) for (run_id,) in rows)


def _nudged(run_id: UUID) -> bool:
    try:
        return nudge(run_id)
    except Exception:  # one odd run must not keep the others of this sweep waiting
        logger.exception("Run %s cannot be looked at.", run_id)
        return False


def nudge(run_id: UUID) -> bool:
    """Send what one run waits for, if a worker could claim it now."""
    try:
        view = record.read(run_id)
    except UnknownRun:
        return False
    saga = definition_of(view)
    rows = claimable(view)
    return saga is not None and bool(rows) and send(saga, view, rows)


def renew(pids: Sequence[int]) -> int:
    """Renew the leases of this worker's own live attempts. Gives how many.

    Args:
        pids: the worker's processes that are alive.
    """
    params = {"lease": conf().LEASE_SECONDS, "worker": identity(), "pids": list(pids)}
    return len(db.execute(_RENEW, params))


def claimable(view: RunView) -> list[StepView]:
    """The rows that a worker could take now; all that are open if the run is overdue."""
    direction = (
        Direction.BACKWARD if view.status in ACTIVE_RUNS[Direction.BACKWARD] else Direction.FORWARD
    )
    rows = [row for row in view.rows(direction) if row.needs_worker]
    if not rows and view.overdue and direction is Direction.FORWARD:
        return [row for row in view.rows(direction) if row.status in _OPEN][:1]
    return rows

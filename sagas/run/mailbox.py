"""Signals: kept until a step waits for them, handed to one step, taken when that step is settled.

A signal is *at hand* from when it is handed to a step until the step gives its result or waits
anew; until then each attempt of the step gets it, so no crash loses it.

An early signal and a step that begins to wait could miss each other, since neither sees what the
other has not committed; both take the same advisory lock first. Whoever hands a signal over holds
the lock of the step's run. In a caller's transaction that is not READ COMMITTED the lock is no
help: what was committed since it began stays unseen. So a sweep looks for those that missed each
other.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sagas import db
from sagas.conf import conf
from sagas.run.context import AtHand
from sagas.states import StepStatus

Waiting = tuple[UUID, str, str]  #: a step: its run, name and direction

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 7365))"
_KEEP = """
INSERT INTO sagas_signal
  (name, saga, correlation, deduplication_id, payload, received_at, expires_at)
VALUES (%(name)s, %(saga)s, %(correlation)s, %(deduplication_id)s, %(payload)s::jsonb,
  clock_timestamp(), clock_timestamp() + %(expires)s::float8 * interval '1 second')
ON CONFLICT (name, correlation, deduplication_id) DO NOTHING RETURNING id"""
#: Of a signal g: it is so old that no step takes it any more.
EXPIRED = """coalesce(g.expires_at,
    g.received_at + %(signal_seconds)s::float8 * interval '1 second') <= clock_timestamp()"""
# Found first: a join may look again for each row, passes over the one that it has changed, and
# would hand over the next one too.
_HAND = f"""
WITH found AS (
  SELECT g.id, g.taken_by_id IS NULL AS new FROM sagas_signal g
  WHERE g.name = %(name)s AND g.correlation IN (%(correlation)s, %(run)s) AND g.taken_at IS NULL
    AND (g.taken_by_id = %(step)s
      OR (g.taken_by_id IS NULL AND g.saga IN ('', %(saga)s) AND NOT {EXPIRED}))
  ORDER BY g.taken_by_id IS NULL, g.id LIMIT 1 FOR UPDATE)
UPDATE sagas_signal s SET taken_by_id = %(step)s
FROM found WHERE s.id = found.id RETURNING found.new"""
_OPEN = "FROM sagas_signal g WHERE g.taken_by_id = {} AND g.taken_at IS NULL"
_AT_HAND = (
    f"SELECT g.name, g.payload::text, g.received_at {_OPEN.format('%s')} ORDER BY g.id LIMIT 1"
)
_SPEND = """
UPDATE sagas_signal SET taken_at = clock_timestamp() WHERE taken_by_id = %s AND taken_at IS NULL"""
_WAITING = f"""
SELECT DISTINCT ON (r.saga) r.saga, s.run_id, s.name, s.direction
FROM sagas_step s JOIN sagas_run r ON r.id = s.run_id
WHERE s.signal = %s AND s.correlation = %s AND s.status = '{StepStatus.WAITING}'
  AND NOT EXISTS (SELECT 1 {_OPEN.format("s.id")})
ORDER BY r.saga, s.id"""
# By its key, or by the run itself. Two transactions that missed each other ended not long ago.
_MISSED = f"""
SELECT DISTINCT s.signal, s.correlation, s.run_id, s.name, s.direction
FROM sagas_signal g
  CROSS JOIN LATERAL (
    SELECT * FROM sagas_step x
    WHERE x.signal = g.name AND x.correlation = g.correlation AND x.signal <> ''
    UNION ALL
    SELECT * FROM sagas_step x WHERE x.signal = g.name AND x.run_id
      = CASE WHEN g.correlation ~ '^[0-9a-f-]{{36}}$' THEN g.correlation::uuid END) s
  JOIN sagas_run r ON r.id = s.run_id AND g.saga IN ('', r.saga)
WHERE g.taken_at IS NULL AND g.taken_by_id IS NULL AND NOT {EXPIRED}
  AND g.received_at > clock_timestamp() - interval '1 hour'
  AND s.status = '{StepStatus.WAITING}'
  AND NOT EXISTS (SELECT 1 {_OPEN.replace(" g ", " h ").replace("g.", "h.").format("s.id")})
LIMIT 100"""
_UNDER = "SELECT DISTINCT saga FROM sagas_run WHERE business_key = %s"


def lock(name: str, correlation: str) -> None:
    """Serialise everything about one signal until the transaction ends."""
    db.execute(_LOCK, [f"{name}\x1f{correlation}"])


def keep(
    name: str,
    correlation: str,
    deduplication_id: str | None,
    payload: str,
    *,
    saga: str = "",
    expires: timedelta | None = None,
) -> bool:
    """Store a signal. False: one with that deduplication id came before.

    Args:
        correlation: a key, or a run's id.
        saga: only runs of this saga may take it; empty: of any.
        expires: nobody takes it after that long; None: the setting says how long.
    """
    params = {
        "name": name,
        "saga": saga,
        "correlation": correlation,
        "deduplication_id": deduplication_id,
        "payload": payload,
        "expires": None if expires is None else expires.total_seconds(),
    }
    return bool(db.execute(_KEEP, params))


def hand(saga: str, run_id: UUID, step_id: int, name: str, correlation: str) -> bool | None:
    """Hand the oldest signal of that name that is for this step to it.

    Returns:
        True if there is one; False if one was at hand already; None if there is none.
    """
    params = {
        "saga": saga,
        "run": str(run_id),
        "step": step_id,
        "name": name,
        "correlation": correlation,
        "signal_seconds": conf().SIGNAL_SECONDS,
    }
    rows = db.execute(_HAND, params)
    return bool(rows[0][0]) if rows else None


def at_hand(step_id: int) -> AtHand | None:
    """The signal that was handed to a step and that it has not settled yet."""
    rows = db.execute(_AT_HAND, [step_id])
    return AtHand(rows[0][0], rows[0][1] or "null", rows[0][2]) if rows else None


def spend(step_id: int) -> None:
    """The step is done with the signal at hand."""
    db.execute(_SPEND, [step_id])


def waiting(name: str, correlation: str) -> dict[str, Waiting]:
    """By saga, the step that has waited longest for a signal and has none at hand."""
    return {
        saga: (run, step, way) for saga, run, step, way in db.execute(_WAITING, [name, correlation])
    }


def missed() -> list[tuple[str, str, Waiting]]:
    """Steps that wait although a signal for them is kept: its name, their correlation, the step."""
    found = db.execute(_MISSED, {"signal_seconds": conf().SIGNAL_SECONDS})
    return [(name, correlation, (run, step, way)) for name, correlation, run, step, way in found]


def sagas_under(key: str) -> set[str]:
    """The sagas that have a run under a business key."""
    return {saga for (saga,) in db.execute(_UNDER, [key])}

"""The record's only writer: a draft's moves in one statement, all of them or none.

Every write names the revision of the run that it was planned on. If somebody else moved the run
in between, nothing is written and the caller plans again on what is true now; so joins, cancels
and late answers need no further locks.
"""

from __future__ import annotations

import json
import os
from functools import cache
from typing import Any

from sagas import db
from sagas.conf import conf
from sagas.define.draft import Change, Draft, Happening
from sagas.define.view import RunView
from sagas.identity import identity
from sagas.states import TERMINAL_RUNS, Direction, RunStatus, StepStatus


def write(draft: Draft) -> bool:
    """Write a draft's moves with their events. True: written; False: the run has moved since.

    On success the draft's view is current again: its revision, and the ids of new rows.
    """
    view = draft.view
    new = _new(draft)
    rows = db.execute(_statement(draft.moves_run, bool(new)), _params(draft, new))
    if not rows:
        return False
    view.revision += 1
    _learn_ids(view, rows[0][0])
    return True


def insert(draft: Draft, deadline: float | None) -> bool:
    """Write a new run with its steps and events. False: its key is taken.

    Args:
        draft: from ``plan.begin``.
        deadline: seconds from now, or None.
    """
    rows = db.execute(_INSERT, _params(draft, _new(draft)) | {"deadline": deadline})
    if not rows:
        return False
    _learn_ids(draft.view, rows[0][0])
    return True


# A move that leaves the run where it is writes less, and passes the trigger by.
_COUNT_RUN = """
run AS (
  UPDATE sagas_run SET revision = revision + 1
  WHERE id = %(id)s AND revision = %(revision)s
  RETURNING id)"""

_UPDATE_RUN = f"""
run AS (
  UPDATE sagas_run SET revision = revision + 1, status = %(status)s::text, epoch = %(epoch)s::int,
    halt = %(halt)s, attention = %(attention)s,
    started_at = CASE WHEN %(status)s::text <> '{RunStatus.PENDING}'
                 THEN coalesce(started_at, clock_timestamp()) END,
    finished_at = CASE WHEN %(over)s::bool THEN clock_timestamp() END
  WHERE id = %(id)s AND revision = %(revision)s
  RETURNING id)"""

_INSERT_RUN = """
run AS (
  INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
    revision, halt, attention, deadline_at, created_at)
  VALUES (%(id)s, %(saga)s, %(version)s, %(fingerprint)s, %(business_key)s, %(payload)s::jsonb,
    %(status)s::text, %(epoch)s::int, %(revision)s::int, %(halt)s, %(attention)s,
    clock_timestamp() + make_interval(secs => %(deadline)s::float8), clock_timestamp())
  ON CONFLICT (saga, business_key) DO NOTHING
  RETURNING id)"""

_ROW = """(id bigint, name text, direction text, position int, status text, attempt int, tries int,
  probes int, losses int, in_doubt bool, generation int, due_in float8, wake_in float8,
  lease_in float8, limit_in float8, worker text, pid int, signal text, correlation text,
  result text, error text, finished bool)"""

_IN_FLIGHT = f"m.status = '{StepStatus.IN_FLIGHT}'"


def _after(column: str) -> str:
    return f"clock_timestamp() + make_interval(secs => m.{column})"


_CHANGE_STEPS = f"""
moved AS (
  UPDATE sagas_step s SET status = m.status, attempt = m.attempt, tries = m.tries,
    probes = m.probes, losses = m.losses, in_doubt = m.in_doubt, generation = m.generation,
    due_at = {_after("due_in")}, wake_at = {_after("wake_in")},
    lease_until = {_after("lease_in")}, limit_at = {_after("limit_in")},
    worker = m.worker, pid = m.pid, signal = m.signal, correlation = m.correlation,
    result = coalesce(m.result::jsonb, s.result), error = coalesce(m.error, s.error),
    started_at = CASE WHEN {_IN_FLIGHT} THEN coalesce(s.started_at, clock_timestamp())
                 ELSE s.started_at END,
    finished_at = CASE WHEN m.finished THEN clock_timestamp() END
  FROM run, json_to_recordset(%(changes)s::json) AS m{_ROW}
  WHERE s.id = m.id AND s.run_id = run.id)"""

_ADD_STEPS = f"""
added AS (
  INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes,
    losses, in_doubt, generation, due_at, wake_at, lease_until, limit_at, worker, pid, signal,
    correlation, error, started_at)
  SELECT run.id, m.name, m.direction, m.position, m.status, m.attempt, m.tries, m.probes,
    m.losses, m.in_doubt, m.generation, {_after("due_in")}, {_after("wake_in")},
    {_after("lease_in")}, {_after("limit_in")}, m.worker, m.pid, m.signal, m.correlation,
    coalesce(m.error, ''), CASE WHEN {_IN_FLIGHT} THEN clock_timestamp() END
  FROM run, json_to_recordset(%(added)s::json) AS m{_ROW}
  RETURNING id, direction, name)"""

_LOG = """
logged AS (
  INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
  SELECT run.id, clock_timestamp(), m.step, m.direction, m.old, m.new, m.attempt, %(epoch)s::int,
    %(worker)s::text, m.data
  FROM run, ROWS FROM (json_to_recordset(%(events)s::json) AS
    (step text, direction text, old text, new text, attempt int, data jsonb))
    WITH ORDINALITY AS m(step, direction, old, new, attempt, data, nth)
  ORDER BY m.nth)"""

_IDS = "(SELECT json_agg(json_build_array(direction, name, id)) FROM added)"
_INSERT = f"WITH {_INSERT_RUN},{_ADD_STEPS},{_LOG} SELECT {_IDS} FROM run"


def _new(draft: Draft) -> list[Change]:
    """Rows that are not stored yet, whether or not a move touched them."""
    fresh = ((key, row) for key, row in draft.view.steps.items() if row.id is None)
    return [draft.changes.get(key) or Change(row) for key, row in fresh]


@cache
def _statement(moves_run: bool, adds: bool) -> str:
    run = _UPDATE_RUN if moves_run else _COUNT_RUN
    if adds:
        return f"WITH {run},{_CHANGE_STEPS},{_ADD_STEPS},{_LOG} SELECT {_IDS} FROM run"
    return f"WITH {run},{_CHANGE_STEPS},{_LOG} SELECT NULL FROM run"


def _params(draft: Draft, new: list[Change]) -> dict[str, Any]:
    view = draft.view
    kept = [c for c in draft.changes.values() if c.row.id is not None]
    return {
        "id": view.id,
        "saga": view.saga,
        "version": view.version,
        "fingerprint": view.fingerprint,
        "business_key": view.business_key,
        "payload": view.payload,
        "revision": view.revision,
        "status": view.status,
        "epoch": view.epoch,
        "halt": view.halt,
        "attention": view.attention,
        "over": view.status in TERMINAL_RUNS,
        "worker": identity(),
        "changes": json.dumps([_image(c, view) for c in kept]),
        "added": json.dumps([_image(c, view) for c in new]),
        "events": json.dumps([_event(e) for e in draft.events]),
    }


def _image(change: Change, view: RunView) -> dict[str, Any]:
    row, settings = change.row, conf()
    image: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "direction": row.direction,
        "position": row.position,
        "status": row.status,
        "attempt": row.attempt,
        "tries": row.tries,
        "probes": row.probes,
        "losses": row.losses,
        "in_doubt": row.in_doubt,
        "generation": row.generation,
        "due_in": change.due_in,
        "wake_in": _wake_in(change, view),
        "worker": "",
        "signal": change.signal,
        "correlation": change.correlation,
        "error": change.error,
        "finished": row.status in _FINISHED,
    }
    if row.status is StepStatus.SUCCEEDED:
        image["result"] = row.result
    if row.status is StepStatus.IN_FLIGHT:
        assert change.time_limit is not None, "a claim knows its time limit"
        image["lease_in"] = settings.LEASE_SECONDS
        image["limit_in"] = change.time_limit + settings.GRACE_SECONDS
        image["worker"], image["pid"] = identity(), os.getpid()
    return image


_FINISHED = frozenset({StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.SKIPPED})


def _wake_in(change: Change, view: RunView) -> float | None:
    """When the sweep must look at a step: when its message or its worker would be overdue."""
    status, due_in = change.row.status, change.due_in
    if status is StepStatus.IN_FLIGHT:
        return conf().LEASE_SECONDS
    if due_in is None or view.status is RunStatus.NEEDS_ATTENTION:
        return None
    wake_in = conf().RESEND_SECONDS if due_in <= 0 else due_in
    if view.deadline is None or view.now is None or change.row.direction is Direction.BACKWARD:
        return wake_in
    return min(wake_in, max(0.0, (view.deadline - view.clock).total_seconds()))


def _event(happening: Happening) -> dict[str, Any]:
    return {
        "step": happening.step,
        "direction": happening.direction or "",
        "old": happening.old,
        "new": happening.new,
        "attempt": happening.attempt,
        "data": happening.data,
    }


def _learn_ids(view: RunView, stored: str | list[Any] | None) -> None:
    rows = json.loads(stored) if isinstance(stored, str) else stored or []
    for direction, name, row_id in rows:
        view.steps[Direction(direction), name].id = row_id

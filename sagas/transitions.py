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
from sagas.define.view import RunView, StepView
from sagas.identity import identity
from sagas.states import TERMINAL_RUNS, Direction, RunStatus, StepStatus


def write(draft: Draft) -> bool:
    """Write a draft's moves with their events. True: written; False: the run has moved since.

    On success the draft's view is current again: its revision, and the ids of new rows.
    """
    view = draft.view
    new = _new(draft)
    kept = [change for change in draft.changes.values() if change.row.id is not None]
    claims = tuple(change.row.status is StepStatus.IN_FLIGHT for change in kept)
    sql = _statement(draft.moves_run, claims, bool(new), len(draft.events))
    params = _params(draft, kept)
    if new:
        params["added"] = _added(new, view)
    rows = db.execute(sql, params)
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
    view = draft.view
    params = (
        _logged(draft)
        | _run_image(view)
        | {
            "id": view.id,
            "saga": view.saga,
            "version": view.version,
            "fingerprint": view.fingerprint,
            "business_key": view.business_key,
            "payload": view.payload,
            "revision": view.revision,
            "deadline": deadline,
            "added": _added(_new(draft), view),
        }
    )
    rows = db.execute(_insert(len(draft.events)), params)
    if not rows:
        return False
    _learn_ids(view, rows[0][0])
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
    revision, halt, attention, deadline_at, created_at, started_at, finished_at)
  VALUES (%(id)s, %(saga)s, %(version)s, %(fingerprint)s, %(business_key)s, %(payload)s::jsonb,
    %(status)s::text, %(epoch)s::int, %(revision)s::int, %(halt)s, %(attention)s,
    clock_timestamp() + make_interval(secs => %(deadline)s::float8), clock_timestamp(),
    CASE WHEN %(over)s::bool THEN clock_timestamp() END,
    CASE WHEN %(over)s::bool THEN clock_timestamp() END)
  ON CONFLICT (saga, business_key) DO NOTHING
  RETURNING id)"""


def _after(seconds: str) -> str:
    return f"clock_timestamp() + {seconds}::float8 * interval '1 second'"


# One clause for each changed row, numbered: a JSON recordset, one size for all, costs the server
# and psycopg a fifth more.
_CLAIM = f"""
step_# AS (
  UPDATE sagas_step SET status = '{StepStatus.IN_FLIGHT}', attempt = %(attempt_#)s,
    tries = %(tries_#)s, probes = %(probes_#)s, losses = %(losses_#)s, in_doubt = %(in_doubt_#)s,
    generation = %(generation_#)s, due_at = NULL, wake_at = {_after("%(wake_in_#)s")},
    lease_until = {_after("%(lease_in_#)s")}, limit_at = {_after("%(limit_in_#)s")},
    worker = %(worker_#)s, pid = %(pid_#)s, signal = '', correlation = '',
    started_at = coalesce(started_at, clock_timestamp()), finished_at = NULL
  FROM run WHERE sagas_step.id = %(step_id_#)s AND run_id = run.id)"""

_MOVE = f"""
step_# AS (
  UPDATE sagas_step SET status = %(status_#)s, tries = %(tries_#)s, probes = %(probes_#)s,
    losses = %(losses_#)s, in_doubt = %(in_doubt_#)s, generation = %(generation_#)s,
    due_at = {_after("%(due_in_#)s")}, wake_at = {_after("%(wake_in_#)s")},
    lease_until = NULL, limit_at = NULL, worker = '', pid = NULL,
    signal = %(signal_#)s, correlation = %(correlation_#)s,
    result = coalesce(%(result_#)s::jsonb, result), error = coalesce(%(error_#)s, error),
    finished_at = CASE WHEN %(finished_#)s::bool THEN clock_timestamp() END
  FROM run WHERE sagas_step.id = %(step_id_#)s AND run_id = run.id)"""

_ROW = """(id bigint, name text, direction text, position int, status text, attempt int, tries int,
  probes int, losses int, in_doubt bool, generation int, due_in float8, wake_in float8,
  lease_in float8, limit_in float8, worker text, pid int, signal text, correlation text,
  error text)"""


def _in(column: str) -> str:
    return f"clock_timestamp() + m.{column} * interval '1 second'"


_ADD_STEPS = f"""
added AS (
  INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes,
    losses, in_doubt, generation, due_at, wake_at, lease_until, limit_at, worker, pid, signal,
    correlation, error, started_at)
  SELECT run.id, m.name, m.direction, m.position, m.status, m.attempt, m.tries, m.probes,
    m.losses, m.in_doubt, m.generation, {_in("due_in")}, {_in("wake_in")},
    {_in("lease_in")}, {_in("limit_in")}, m.worker, m.pid, m.signal, m.correlation,
    coalesce(m.error, ''), CASE WHEN m.status = '{StepStatus.IN_FLIGHT}' THEN clock_timestamp() END
  FROM run, json_to_recordset(%(added)s::json) AS m{_ROW}
  RETURNING id, direction, name)"""

_LOG = """
logged AS (
  INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
  SELECT run.id, clock_timestamp(), e.step, e.direction, e.old, e.new, e.attempt,
    %(epoch)s::int, %(worker)s::text, e.data::jsonb
  FROM run, (VALUES {}) AS e(nth, step, direction, old, new, attempt, data) ORDER BY e.nth)"""

_EVENT = """(#, %(event_step_#)s, %(event_direction_#)s, %(event_old_#)s, %(event_new_#)s,
    %(event_attempt_#)s::int, %(event_data_#)s)"""

_IDS = "(SELECT json_agg(json_build_array(direction, name, id)) FROM added)"


@cache
def _statement(moves_run: bool, claims: tuple[bool, ...], adds: bool, events: int) -> str:
    """The statement for moves of that shape; shapes are few, and each is prepared once."""
    clauses = [_UPDATE_RUN if moves_run else _COUNT_RUN]
    clauses += [_numbered(_CLAIM if claim else _MOVE, n) for n, claim in enumerate(claims)]
    clauses += [_ADD_STEPS] if adds else []
    clauses += [_logging(events)] if events else []
    return f"WITH {','.join(clauses)} SELECT {_IDS if adds else 'NULL'} FROM run"


@cache
def _insert(events: int) -> str:
    return f"WITH {_INSERT_RUN},{_ADD_STEPS},{_logging(events)} SELECT {_IDS} FROM run"


def _logging(events: int) -> str:
    return _LOG.format(", ".join(_numbered(_EVENT, n) for n in range(events)))


def _numbered(clause: str, number: int) -> str:
    return clause.replace("#", str(number))


def _new(draft: Draft) -> list[Change]:
    """Rows that are not stored yet, whether or not a move touched them."""
    fresh = ((key, row) for key, row in draft.view.steps.items() if row.id is None)
    return [draft.changes.get(key) or Change(row) for key, row in fresh]


def _params(draft: Draft, kept: list[Change]) -> dict[str, Any]:
    """The parameters of moves; no more than needed, since psycopg caches no query of many."""
    view = draft.view
    params: dict[str, Any] = {"id": view.id, "revision": view.revision} | _logged(draft)
    if draft.moves_run:
        params |= _run_image(view)
    for number, change in enumerate(kept):
        params |= {f"{name}_{number}": value for name, value in _image(change, view).items()}
    return params


def _run_image(view: RunView) -> dict[str, Any]:
    return {
        "status": view.status.value,
        "halt": view.halt.value,
        "attention": view.attention,
        "over": view.status in TERMINAL_RUNS,
    }


def _logged(draft: Draft) -> dict[str, Any]:
    params: dict[str, Any] = {"epoch": draft.view.epoch, "worker": identity()}
    for number, event in enumerate(draft.events):
        params |= _event(event, number)
    return params


def _added(new: list[Change], view: RunView) -> str:
    return json.dumps([_image(change, view) | _place(change.row) for change in new])


def _place(row: StepView) -> dict[str, Any]:
    return {"name": row.name, "direction": row.direction, "position": row.position}


def _image(change: Change, view: RunView) -> dict[str, Any]:
    row, settings = change.row, conf()
    image: dict[str, Any] = {
        "step_id": row.id,
        "status": row.status.value,
        "attempt": row.attempt,
        "tries": row.tries,
        "probes": row.probes,
        "losses": row.losses,
        "in_doubt": row.in_doubt,
        "generation": row.generation,
        "wake_in": _wake_in(change, view),
        "error": change.error,
    }
    if row.status is not StepStatus.IN_FLIGHT:
        return image | {
            "worker": "",
            "due_in": change.due_in,
            "signal": change.signal,
            "correlation": change.correlation,
            "result": row.result if row.status is StepStatus.SUCCEEDED else None,
            "finished": row.status in _FINISHED,
        }
    assert change.time_limit is not None, "a claim knows its time limit"
    return image | {
        "worker": identity(),
        "pid": os.getpid(),
        "signal": "",
        "correlation": "",
        "lease_in": settings.LEASE_SECONDS,
        "limit_in": change.time_limit + 2 * settings.GRACE_SECONDS,  # the watchdog has bitten
    }


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


def _event(happening: Happening, number: int) -> dict[str, Any]:
    return {
        f"event_step_{number}": happening.step,
        f"event_direction_{number}": happening.direction.value if happening.direction else "",
        f"event_old_{number}": str(happening.old),
        f"event_new_{number}": str(happening.new),
        f"event_attempt_{number}": happening.attempt,
        f"event_data_{number}": json.dumps(happening.data) if happening.data else "{}",
    }


def _learn_ids(view: RunView, stored: str | list[Any] | None) -> None:
    rows = json.loads(stored) if isinstance(stored, str) else stored or []
    for direction, name, row_id in rows:
        view.steps[Direction(direction), name].id = row_id

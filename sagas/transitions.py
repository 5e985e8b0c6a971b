"""The record's only writer: a draft's moves in one statement, all of them or none.

Every write names the revision of the run that it was planned on. If somebody else moved the run
in between, or a hold came on the step that is claimed, nothing is written and the caller plans
again on what is true now; so joins, cancels and late answers need no further locks.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sagas import db, keys, record
from sagas.conf import conf
from sagas.define import plan
from sagas.define.draft import Change, Draft, Happening, Original
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.identity import identity
from sagas.states import (
    FINISHED_STEPS,
    GIVING_STEPS,
    SETTLED_STEPS,
    UNFINISHED_RUNS,
    Direction,
    RunStatus,
    StepStatus,
    sql_list,
)


def write(draft: Draft) -> bool:
    """Write a draft's moves with their events. True: written.

    False: the run has moved since, or a hold has come on the step that the draft claims.

    On success the draft's view is current again: its revision, and the ids of new rows. With a
    claim it is complete: what the claimed step needs comes with the answer.
    """
    view, wake = draft.view, _wake(draft)
    new = _new(draft)
    kept = [change for change in draft.changes.values() if change.row.id is not None]
    more = tuple(name for name in _AMENDED if getattr(draft, name) is not None)
    claims = draft.claimed is not None
    reads = claims and view.payload is None
    shape = (draft.moves_run, wake is not None, claims, len(kept), bool(new), len(draft.events))
    sql = _statement(*shape, more, reads, draft.original is not None)
    params = _params(draft, kept, wake) | {name: getattr(draft, name) for name in more}
    if draft.original is not None:
        params |= _original(draft.original)
    if new:
        params["added"] = _added(new)
    if draft.claimed is not None:
        params["unless"] = list(draft.unless)
        draft.claimed.claimed_at = time.monotonic()
    rows = db.execute(sql, params)
    if not rows:
        return False
    view.revision += 1
    if reads:
        record.add_documents(view, (row[1:] for row in rows[1:]))
    _learn(view, rows[0][0], wake)
    return True


def take_first(saga: Definition, run_id: UUID, name: str) -> Draft | None:
    """Claim a step of a run that nobody has touched, reading the run in the same statement.

    What most runs begin with. The statement writes what the planner says of such a run; it
    touches no other.

    Returns:
        the draft as written, or None: read the run and plan.
    """
    step = saga.steps[name]
    params = {
        "id": run_id,
        "saga": saga.name,
        "version": saga.version,
        "fingerprint": saga.fingerprint,
        "step": name,
        "worker": identity(),
        "pid": os.getpid(),
        "limit": step.timeout + 2 * conf().GRACE_SECONDS,
        "lease": conf().LEASE_SECONDS,
    }
    claimed_at = time.monotonic()
    rows = db.execute(_TAKE_FIRST, params)
    if not rows:
        return None
    view = record.view_of(run_id, rows)
    view.status = RunStatus.PENDING  # as it was; its steps were read as they were
    view.steps[Direction.FORWARD, name].claimed_at = claimed_at
    return plan.first_claim(saga, view, name)


def insert(
    draft: Draft,
    deadline: float | None,
    tags: Sequence[str] = (),
    title: str = "",
    origin: Mapping[str, Any] | None = None,
) -> bool:
    """Write a new run with its steps and events. False: its key is taken.

    Args:
        draft: from ``plan.begin``.
        deadline: seconds from now, or None.
        tags: words to find the run by.
        title: by which people know it.
        origin: what started it, by the names of its columns; None: nobody said.
    """
    view = draft.view
    wake = min((look for look in (_wake(draft), deadline) if look is not None), default=None)
    params = (
        _logged(draft)
        | _run_image(view)
        | {
            "wake": wake,
            "id": view.id,
            "saga": view.saga,
            "version": view.version,
            "fingerprint": view.fingerprint,
            "business_key": view.business_key,
            "payload": view.payload,
            "revision": view.revision,
            "deadline": deadline,
            "tags": list(tags),
            "title": title,
            "added": _added(_new(draft)),
        }
        | dict(origin or {})
    )
    rows = db.execute(_insert(len(draft.events), tuple(origin or ())), params)
    if not rows:
        return False
    _learn(view, rows[0][0], wake)
    view.holds = frozenset(rows[0][1] or ())
    return True


def arrange(view: RunView) -> None:
    """Give a run's rows the positions of its view, and remove those that it does not have.

    For a run that is locked and has just been given another definition.
    """
    rows = [_place(row) for row in view.steps.values()]
    db.execute(_ARRANGE, {"id": view.id, "rows": json.dumps(rows)})


@dataclass(frozen=True, slots=True)
class Woken:
    """The runs that a sweep has taken.

    Attributes:
        late: since how many seconds each was due, the longest overdue first.
        begin: where the next sweep may begin to look.
    """

    late: Mapping[UUID, float]
    begin: datetime


def wake(batch: int, begin: datetime | None = None, but: Collection[str] = ()) -> Woken:
    """Take the runs that a sweep must look at, the longest overdue first; others skip them.

    Args:
        batch: how many at most.
        begin: at runs that are due from then on; None: at all.
        but: not at runs that pin these: ``saga/version/fingerprint``.
    """
    params = {
        "batch": batch,
        "begin": begin,
        "but": list(but),
        "resend": conf().RESEND_SECONDS,
        "settled": _SETTLED_SECONDS,
    }
    [(ids, late, begin)] = db.execute(_WAKE, params)
    return Woken(dict(zip(ids or (), late or (), strict=True)), begin)


def look_again(looks: Iterable[tuple[RunView, float | None]]) -> None:
    """Set when a sweep looks at each run next, unless it has moved since it was read.

    Args:
        looks: runs, and seconds from now; None: not by itself.
    """
    rows = [{"id": str(v.id), "revision": v.revision, "look": look} for v, look in looks]
    if rows:
        db.execute(_LOOK_AGAIN, {"looks": json.dumps(rows)})


def drain(runs: Sequence[UUID], first: int, per_second: float) -> int:
    """Have a sweep look at runs one after another: a hold that stopped them is lifted.

    Args:
        runs: in this order.
        first: how many go before them.
        per_second: how many are due in a second.

    Returns:
        how many there were; the others rest, or are gone.
    """
    params = {"runs": list(runs), "first": first, "per_second": per_second}
    return len(db.execute(_DRAIN, params))


def free(worker: str, pids: Sequence[int] | None = None) -> int:
    """End the leases of processes that are gone, so that others take over at once.

    Args:
        worker: its name.
        pids: its processes that are gone; None: all of them.

    Returns:
        how many steps they held.
    """
    params = {"worker": worker, "pids": None if pids is None else list(pids)}
    return len(db.execute(_FREE, params))


# Steps are found by the parameter, not by a join: a plan made while the tables were small would
# read them whole.
_TAKE_FIRST = f"""
WITH run AS (
  UPDATE sagas_run SET revision = revision + 1, status = '{RunStatus.RUNNING}',
    started_at = clock_timestamp(),
    wake_at = least(wake_at, clock_timestamp() + %(lease)s::float8 * interval '1 second')
  WHERE id = %(id)s AND status = '{RunStatus.PENDING}' AND halt = '' AND saga = %(saga)s
    AND version = %(version)s AND fingerprint = %(fingerprint)s
    AND (deadline_at IS NULL OR deadline_at > clock_timestamp())
    AND NOT EXISTS (SELECT 1 FROM sagas_hold h WHERE {record.FOR_RUN.format(run="%(id)s")})
    AND EXISTS (SELECT 1 FROM sagas_step
      WHERE run_id = %(id)s AND direction = '{Direction.FORWARD}' AND name = %(step)s
        AND status = '{StepStatus.READY}' AND due_at <= clock_timestamp())
  RETURNING *),
moved AS (
  UPDATE sagas_step s SET status = '{StepStatus.IN_FLIGHT}', attempt = 1, tries = 1, due_at = NULL,
    limit_at = clock_timestamp() + %(limit)s::float8 * interval '1 second',
    worker = %(worker)s, pid = %(pid)s, started_at = clock_timestamp()
  FROM run
  WHERE s.run_id = %(id)s AND s.direction = '{Direction.FORWARD}' AND s.name = %(step)s),
logged AS (
  INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
  SELECT run.id, clock_timestamp(), e.step, e.direction, e.old, e.new, e.attempt, run.epoch,
    %(worker)s, '{{}}'
  FROM run, (VALUES
    (0, '', '', '{RunStatus.PENDING}', '{RunStatus.RUNNING}', 0),
    (1, %(step)s, '{Direction.FORWARD}', '{StepStatus.READY}', '{StepStatus.IN_FLIGHT}', 1)
  ) AS e(nth, step, direction, old, new, attempt) ORDER BY e.nth)
SELECT {record.COLUMNS} FROM run r, sagas_step s WHERE s.run_id = %(id)s
ORDER BY {record.ORDER}"""

# The time of the statement, unlike the clock's, bounds an index scan: else every sweep would read
# whatever is scheduled for later. So does the beginning: where an old snapshot is held, PostgreSQL
# keeps the index entry of every run that has ended since, and a scan reads them all. Nothing
# visible is due before the beginning, and whoever writes ``wake_at`` writes a later time; but for
# a transaction that took long to commit.
_SETTLED = "statement_timestamp() - %(settled)s::float8 * interval '1 second'"
_FROM = f"least(coalesce(%(begin)s::timestamptz, '-infinity'), {_SETTLED})"
_SETTLED_SECONDS = 60.0
_WAKE = f"""
WITH due AS (
  SELECT id, wake_at FROM sagas_run
  WHERE wake_at >= {_FROM} AND wake_at <= statement_timestamp()
    AND saga || '/' || version || '/' || fingerprint <> ALL(%(but)s::text[])
  ORDER BY wake_at LIMIT %(batch)s::int FOR NO KEY UPDATE SKIP LOCKED),
woken AS (
  UPDATE sagas_run r SET revision = revision + 1,
    wake_at = clock_timestamp() + %(resend)s::float8 * interval '1 second'
  FROM due WHERE r.id = due.id
  RETURNING r.id, extract(epoch FROM clock_timestamp() - due.wake_at)::float8 AS late)
SELECT (SELECT array_agg(id ORDER BY late DESC) FROM woken),
  (SELECT array_agg(late ORDER BY late DESC) FROM woken),
  coalesce((SELECT min(wake_at) FROM sagas_run WHERE wake_at >= {_FROM} AND wake_at < {_SETTLED}),
    {_SETTLED})"""

_LOOK_AGAIN = """
UPDATE sagas_run r SET revision = r.revision + 1,
  wake_at = clock_timestamp() + m.look * interval '1 second'
FROM json_to_recordset(%(looks)s::json) AS m(id uuid, revision int, look float8)
WHERE r.id = m.id AND r.revision = m.revision"""

# Runs are locked in one order, as everywhere where several are.
_DRAIN = """
UPDATE sagas_run r SET revision = revision + 1, wake_at = clock_timestamp()
  + (%(first)s::int + waiting.nth) / %(per_second)s::float8 * interval '1 second'
FROM (SELECT run.id, given.nth
      FROM unnest(%(runs)s::uuid[]) WITH ORDINALITY AS given(id, nth)
      JOIN sagas_run run ON run.id = given.id
      WHERE run.wake_at IS NOT NULL ORDER BY run.id FOR NO KEY UPDATE OF run) waiting
WHERE r.id = waiting.id RETURNING r.id"""

_ARRANGE = """
WITH kept AS (
  SELECT * FROM json_to_recordset(%(rows)s::json) AS k(name text, direction text, position int)),
gone AS (
  DELETE FROM sagas_step s WHERE s.run_id = %(id)s AND NOT EXISTS (
    SELECT 1 FROM kept k WHERE k.name = s.name AND k.direction = s.direction))
UPDATE sagas_step s SET position = k.position FROM kept k
WHERE s.run_id = %(id)s AND s.name = k.name AND s.direction = k.direction"""

# Rare, so it reads all unfinished runs: an index of what is in flight would cost every claim.
# Runs are locked before their steps, as everywhere.
_FREE = f"""
WITH held AS (
  SELECT r.id FROM sagas_run r
  WHERE r.status IN ({sql_list(UNFINISHED_RUNS)}) AND EXISTS (
    SELECT 1 FROM sagas_step s WHERE s.run_id = r.id AND s.status = '{StepStatus.IN_FLIGHT}'
      AND s.worker = %(worker)s AND (%(pids)s::int[] IS NULL OR s.pid = ANY(%(pids)s::int[])))
  FOR NO KEY UPDATE),
freed AS (
  UPDATE sagas_step s SET limit_at = clock_timestamp() FROM held
  WHERE s.run_id = held.id AND s.status = '{StepStatus.IN_FLIGHT}' AND s.worker = %(worker)s
    AND (%(pids)s::int[] IS NULL OR s.pid = ANY(%(pids)s::int[]))
  RETURNING s.run_id),
woken AS (
  UPDATE sagas_run r SET revision = revision + 1, wake_at = clock_timestamp()
  WHERE r.id IN (SELECT run_id FROM freed))
SELECT run_id FROM freed"""


def _after(seconds: str) -> str:
    return f"clock_timestamp() + {seconds}::float8 * interval '1 second'"


_REVISE = "UPDATE sagas_run SET revision = revision + 1"
_AS_PLANNED = "WHERE id = %(id)s AND revision = %(revision)s{unheld} RETURNING id{amended}"
# What an operator has stopped meanwhile is not claimed.
_UNHELD = """
    AND NOT EXISTS (SELECT 1 FROM sagas_hold h WHERE h.lifted_at IS NULL
      AND h.kind || ':' || h.target = ANY(%(unless)s::text[])
      AND h.probe IS DISTINCT FROM %(id)s)"""

# Each statement changes nothing unless the run is as it was when it was planned. Whoever writes
# ``wake_at`` raises the revision too, so that nobody relies on a look that has been put off.

# A move that leaves the run where it is writes less, and passes the trigger by.
_COUNT_RUN = f"run AS ({_REVISE} {_AS_PLANNED})"

_WAKE_RUN = f"run AS ({_REVISE}, wake_at = least(wake_at, {_after('%(wake)s')}) {_AS_PLANNED})"

_UPDATE_RUN = f"""
run AS (
  {_REVISE}, status = %(status)s::text, epoch = %(epoch)s::int, halt = %(halt)s,
    attention = %(attention)s, error_group = %(error_group)s::text{{more}},
    wake_at = CASE WHEN %(awake)s::bool THEN least(wake_at, {_after("%(wake)s")}) END,
    started_at = CASE WHEN %(status)s::text <> '{RunStatus.PENDING}'
                 THEN coalesce(started_at, clock_timestamp()) END,
    finished_at = CASE WHEN %(over)s::bool THEN coalesce(finished_at, clock_timestamp()) END
  {_AS_PLANNED})"""

_INSERT_RUN = f"""
run AS (
  INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
    revision, halt, attention, error_group, tags, title, deadline_at, wake_at, created_at,
    started_at, finished_at{{columns}})
  VALUES (%(id)s, %(saga)s, %(version)s, %(fingerprint)s, %(business_key)s, %(payload)s::jsonb,
    %(status)s::text, %(epoch)s::int, %(revision)s::int, %(halt)s, %(attention)s,
    %(error_group)s::text, %(tags)s::varchar[], %(title)s, {_after("%(deadline)s")},
    CASE WHEN %(awake)s::bool THEN {_after("%(wake)s")} END,
    clock_timestamp(), CASE WHEN %(over)s::bool THEN clock_timestamp() END,
    CASE WHEN %(over)s::bool THEN clock_timestamp() END{{values}})
  ON CONFLICT (saga, business_key) DO NOTHING
  RETURNING id, saga, business_key, payload)"""

#: What only an operator changes of a run, by the draft's name for it.
_AMENDED = {
    "owner": "owner = %(owner)s",
    "amended": "amended = %(amended)s::jsonb",
    "title": "title = %(title)s",
    "version": "version = %(version)s::int",
    "fingerprint": "fingerprint = %(fingerprint)s",
}

# Plain values: a JSON recordset costs the server and psycopg a fifth more.
_MOVE_STEPS = f"""
moved AS (
  UPDATE sagas_step s SET status = m.status, attempt = m.attempt, tries = m.tries,
    probes = m.probes, losses = m.losses, waited = m.waited, in_doubt = m.in_doubt,
    doubted = m.doubted, generation = m.generation, due_at = {_after("m.due_in")},
    limit_at = {_after("m.limit_in")},
    worker = CASE WHEN m.status = '{StepStatus.IN_FLIGHT}' THEN %(worker)s::text ELSE '' END,
    pid = CASE WHEN m.status = '{StepStatus.IN_FLIGHT}' THEN %(pid)s::int END,
    signal = m.signal, correlation = m.correlation,
    result = CASE WHEN m.status <> '{StepStatus.PENDING}' THEN coalesce(m.result, s.result) END,
    error = coalesce(m.error, s.error),
    started_at = CASE WHEN m.status = '{StepStatus.IN_FLIGHT}'
                 THEN coalesce(s.started_at, clock_timestamp())
                 WHEN m.generation = s.generation THEN s.started_at END,
    finished_at = CASE WHEN m.finished THEN clock_timestamp() END
  FROM run, (VALUES {{}}) AS m(id, status, attempt, tries, probes, losses, waited, in_doubt,
    doubted, generation, due_in, limit_in, signal, correlation, result, error, finished)
  WHERE s.id = m.id AND s.run_id = run.id
  RETURNING s.name, s.direction, s.result)"""

_IMAGE = """(%(step_id_#)s::bigint, %(status_#)s::text, %(attempt_#)s::int, %(tries_#)s::int,
    %(probes_#)s::int, %(losses_#)s::int, %(waited_#)s::float8, %(in_doubt_#)s::bool,
    %(doubted_#)s::bool, %(generation_#)s::int, %(due_in_#)s::float8, %(limit_in_#)s::float8,
    %(signal_#)s::text, %(correlation_#)s::text, %(result_#)s::jsonb, %(error_#)s::text,
    %(finished_#)s::bool)"""

_ROW = """(name text, direction text, position int, status text, attempt int, tries int,
  probes int, losses int, in_doubt bool, generation int, due_in float8, limit_in float8,
  signal text, correlation text, error text)"""

_ADD_STEPS = f"""
added AS (
  INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes,
    losses, in_doubt, generation, due_at, limit_at, worker, pid, signal, correlation, error,
    started_at)
  SELECT run.id, m.name, m.direction, m.position, m.status, m.attempt, m.tries, m.probes,
    m.losses, m.in_doubt, m.generation, {_after("m.due_in")}, {_after("m.limit_in")},
    CASE WHEN m.status = '{StepStatus.IN_FLIGHT}' THEN %(worker)s::text ELSE '' END,
    CASE WHEN m.status = '{StepStatus.IN_FLIGHT}' THEN %(pid)s::int END,
    m.signal, m.correlation, coalesce(m.error, ''),
    CASE WHEN m.status = '{StepStatus.IN_FLIGHT}' THEN clock_timestamp() END
  FROM run, json_to_recordset(%(added)s::json) AS m{_ROW}
  RETURNING id, direction, name)"""

_LOG = """
logged AS (
  INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
  SELECT run.id, clock_timestamp(), e.step, e.direction, e.old, e.new, e.attempt,
    %(epoch)s::int, %(worker)s::text, e.data::jsonb{digests}
  FROM run CROSS JOIN (VALUES {events}) AS e(nth, step, direction, old, new, attempt, data){moved}
  ORDER BY e.nth)"""
# An event has the digests of the documents that came with it, as they are stored, so that
# ``verify`` finds what was changed past the engine. A success has one of no result, too.
_RESULT_DIGEST = f"""
    || CASE WHEN m.result IS NOT NULL OR e.step <> '' AND e.new IN ({sql_list(SETTLED_STEPS)})
       THEN jsonb_build_object('digest', {keys.DIGEST.format("coalesce(m.result, 'null')")})
       ELSE '{{}}' END"""
_MOVED = "\n  LEFT JOIN moved m ON m.name = e.step AND m.direction = e.direction"
_INPUT_DIGEST = f"""
    || CASE WHEN e.nth = 0
       THEN jsonb_build_object('input', {keys.DIGEST.format("run.amended")}) ELSE '{{}}' END"""
_START_DIGEST = f"""
    || CASE WHEN e.nth = 0 THEN jsonb_build_object('digest',
         {keys.DIGEST.format(record.STARTED_WITH)}) ELSE '{{}}' END"""

_KEEP = """
kept AS (
  INSERT INTO sagas_original (run_id, at, step, direction, attempt, text)
  SELECT run.id, clock_timestamp(), %(original_step)s, %(original_direction)s,
    %(original_attempt)s::int, %(original_text)s
  FROM run)"""

_EVENT = """(#, %(event_step_#)s, %(event_direction_#)s, %(event_old_#)s, %(event_new_#)s,
    %(event_attempt_#)s::int, %(event_data_#)s)"""

_HOLDS = record.HOLDS.format(run="run.id")
# As they were when the claim was planned: whoever changes a document raises the revision too.
_COMPLETE = f"""SELECT {{}}, NULL::bigint, NULL::text FROM run
UNION ALL SELECT NULL, d.step, d.document FROM run, ({record.DOCUMENTS}) d"""
_IDS = "(SELECT json_agg(json_build_array(direction, name, id)) FROM added)"


@cache
def _statement(
    moves_run: bool,
    wakes: bool,
    claims: bool,
    moved: int,
    adds: bool,
    events: int,
    more: tuple[str, ...],
    reads: bool,
    keeps: bool,
) -> str:
    """The statement for moves of that shape; shapes are few, and each is prepared once."""
    run = _UPDATE_RUN if moves_run else _WAKE_RUN if wakes else _COUNT_RUN
    amended = "".join(f", {_AMENDED[name]}" for name in more)
    unheld = _UNHELD if claims else ""
    changes_input = "amended" in more
    clauses = [
        run.format(more=amended, unheld=unheld, amended=", amended" if changes_input else "")
    ]
    clauses += [_MOVE_STEPS.format(_repeated(_IMAGE, moved))] if moved else []
    clauses += [_ADD_STEPS] if adds else []
    digests = [_RESULT_DIGEST] if moved else []
    digests += [_INPUT_DIGEST] if changes_input else []
    clauses += [_log(events, digests, _MOVED if moved else "")] if events else []
    clauses += [_KEEP] if keeps else []
    answer = _COMPLETE if reads else "SELECT {} FROM run"
    return f"WITH {','.join(clauses)} {answer.format(_IDS if adds else 'NULL::json')}"


@cache
def _insert(events: int, origin: tuple[str, ...]) -> str:
    logged = _log(events, [_START_DIGEST])
    run = _INSERT_RUN.format(
        columns="".join(f", {name}" for name in origin),
        values="".join(f", %({name})s" for name in origin),
    )
    return f"WITH {run},{_ADD_STEPS},{logged} SELECT {_IDS}, {_HOLDS} FROM run"


def _log(events: int, digests: Sequence[str], moved: str = "") -> str:
    return _LOG.format(events=_repeated(_EVENT, events), digests="".join(digests), moved=moved)


def _repeated(clause: str, times: int) -> str:
    return ", ".join(clause.replace("#", str(number)) for number in range(times))


def _new(draft: Draft) -> list[Change]:
    """Rows that are not stored yet, whether or not a move touched them."""
    fresh = ((key, row) for key, row in draft.view.steps.items() if row.id is None)
    return [draft.changes.get(key) or Change(row) for key, row in fresh]


def _params(draft: Draft, kept: list[Change], wake: float | None) -> dict[str, Any]:
    """The parameters of moves; no more than the statement names."""
    view = draft.view
    params: dict[str, Any] = {"id": view.id, "revision": view.revision} | _logged(draft)
    if draft.moves_run:
        params |= _run_image(view)
    if draft.moves_run or wake is not None:
        params["wake"] = wake
    for number, change in enumerate(kept):
        params.update(zip(_names(_IMAGED, number), _image(change), strict=True))
    return params


@cache
def _names(columns: tuple[str, ...], number: int) -> tuple[str, ...]:
    """The parameters' names of the columns of one of several rows."""
    return tuple(f"{name}_{number}" for name in columns)


def _run_image(view: RunView) -> dict[str, Any]:
    return {
        "status": view.status.value,
        "halt": view.halt.value,
        "attention": view.attention,
        "error_group": view.error_group,
        "over": view.over,
        "awake": not _rests(view),
    }


def _rests(view: RunView) -> bool:
    """Whether nothing of the run is for a worker: it is over, or a person decides.

    What was in flight when it stopped may be lost, so a sweep looks at it once more.
    """
    if view.status is RunStatus.NEEDS_ATTENTION:
        return not any(row.status is StepStatus.IN_FLIGHT for row in view.steps.values())
    return view.over


def _logged(draft: Draft) -> dict[str, Any]:
    params: dict[str, Any] = {
        "epoch": draft.view.epoch,
        "worker": identity(),
        "pid": os.getpid(),
        **keys.parameters(draft.view.id),
    }
    for number, event in enumerate(draft.events):
        params.update(zip(_names(_EVENT_COLUMNS, number), _event(event), strict=True))
    return params


def _added(new: list[Change]) -> str:
    return json.dumps(
        [dict(zip(_IMAGED, _image(change), strict=True)) | _place(change.row) for change in new]
    )


def _place(row: StepView) -> dict[str, Any]:
    return {"name": row.name, "direction": row.direction, "position": row.position}


_IMAGED = (
    *("step_id", "status", "attempt", "tries", "probes", "losses", "waited", "in_doubt", "doubted"),
    *("generation", "due_in", "limit_in", "signal", "correlation", "result", "error", "finished"),
)


def _image(change: Change) -> tuple[Any, ...]:
    """A step's row as ``_IMAGED`` names its values."""
    row, status = change.row, change.row.status
    return (
        *(row.id, status.value, row.attempt, row.tries, row.probes, row.losses, row.waited),
        *(row.in_doubt, row.doubted, row.generation, change.due_in, _limit_in(change)),
        *(row.signal, row.correlation, row.result if status in GIVING_STEPS else None),
        *(change.error, status in FINISHED_STEPS),
    )


def _limit_in(change: Change) -> float | None:
    """When a claim is over whatever its worker says: its watchdog has bitten by then."""
    if change.row.status is not StepStatus.IN_FLIGHT:
        return None
    assert change.time_limit is not None, "a claim knows its time limit"
    return change.time_limit + 2 * conf().GRACE_SECONDS


def _wake(draft: Draft) -> float | None:
    """Seconds until a sweep must look at the run for what this draft moves.

    None: it does so early enough already. The run's ``wake_at`` is a lower bound: the usual move
    leaves it where it is, so that no index is touched, and the sweep sets it anew when it looks.
    """
    view = draft.view
    if _rests(view):
        return None
    looks = [look for change in draft.changes.values() if (look := _look(change)) is not None]
    if view.deadline is not None and view.now is not None:
        looks += [left] if (left := (view.deadline - view.clock).total_seconds()) > 0 else []
    if any(event.old == RunStatus.NEEDS_ATTENTION and not event.step for event in draft.events):
        looks.append(conf().RESEND_SECONDS)  # its other steps go on too, and nobody looked
    soonest = min(looks, default=None)
    if soonest is None or (view.wake_in is not None and view.wake_in <= view.age + soonest):
        return None
    return soonest


def _look(change: Change) -> float | None:
    """When a step's message or worker would be overdue."""
    if change.row.status is StepStatus.IN_FLIGHT:
        return conf().LEASE_SECONDS
    if change.due_in is not None and change.due_in <= 0:
        return conf().RESEND_SECONDS
    return change.due_in


_EVENT_COLUMNS = (
    "event_step",
    "event_direction",
    "event_old",
    "event_new",
    "event_attempt",
    "event_data",
)


def _event(happening: Happening) -> tuple[Any, ...]:
    """An event as ``_EVENT_COLUMNS`` names its values."""
    return (
        happening.step,
        happening.direction.value if happening.direction else "",
        str(happening.old),
        str(happening.new),
        happening.attempt,
        json.dumps(happening.data) if happening.data else "{}",
    )


def _original(original: Original) -> dict[str, Any]:
    return {
        "original_step": original.row.name,
        "original_direction": original.row.direction.value,
        "original_attempt": original.attempt,
        "original_text": original.text,
    }


def _learn(view: RunView, ids: str | list[Any] | None, wake: float | None) -> None:
    """Make the view current: what the database chose, and when a sweep looks."""
    rows = json.loads(ids) if isinstance(ids, str) else ids or []
    for direction, name, row_id in rows:
        view.steps[Direction(direction), name].id = row_id
    if _rests(view):
        view.wake_in = None
    elif wake is not None:
        view.wake_in = view.age + wake

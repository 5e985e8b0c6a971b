"""Reading the record: a run as the planner sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from sagas import db
from sagas.define.view import RunView, StepView
from sagas.errors import UnknownRun
from sagas.states import (
    CLAIMABLE_STEPS,
    MOVING_RUNS,
    Direction,
    Halt,
    RunStatus,
    StepStatus,
    sql_list,
)

Reach = Sequence[tuple[str, int, str]]  #: steps: saga, version and name

# Not those on other runs, which may be very many: a batch can pause thousands.
FOR_RUN = """h.lifted_at IS NULL AND (h.kind IN ('saga', 'queue', 'partner')
    OR (h.kind = 'run' AND h.target = {run}::text))
  AND h.probe IS DISTINCT FROM {run}"""  #: a hold h that may concern a run, and does not let it by
HOLDS = f"""(SELECT array_agg(h.kind || ':' || h.target)
  FROM sagas_hold h WHERE {FOR_RUN})"""  #: every hold in force that may concern a run
# Of the first row of a run only: they may be large, and its steps many.
_ONCE = "CASE WHEN s.direction = 'forward' AND s.position = 0 THEN {} END"
_PAYLOAD = _ONCE.format("coalesce(r.amended, r.payload)::text")
_RESULT = "s.result::text"
_RUN = f"""r.saga, r.version, r.fingerprint, r.business_key,
  {_PAYLOAD}, r.status, r.epoch,
  r.revision, r.halt, r.attention, r.error_group, r.owner,
  {_ONCE.format(HOLDS.format(run="r.id"))},
  r.deadline_at, clock_timestamp(),
  extract(epoch FROM clock_timestamp() - r.created_at)::float8,
  extract(epoch FROM r.wake_at - clock_timestamp())::float8"""
# An attempt is its worker's while that worker beats, but never beyond the attempt's own limit.
_HELD_UNTIL = """least(s.limit_at,
    coalesce((SELECT lease_until FROM sagas_worker w WHERE w.name = s.worker), to_timestamp(0)))"""
_STEP = f"""s.id, s.name, s.direction, s.position, s.status, s.attempt, s.tries, s.probes, s.losses,
  s.in_doubt, s.generation,
  extract(epoch FROM CASE WHEN s.status = '{StepStatus.IN_FLIGHT}' THEN {_HELD_UNTIL}
      ELSE s.due_at END
    - clock_timestamp())::float8,
  coalesce(extract(epoch FROM clock_timestamp() - s.started_at), 0)::float8, s.waited,
  s.signal, s.correlation, {_RESULT}, s.worker, s.pid, s.error, s.doubted"""
ORDER = "s.direction DESC, s.position"  #: of a run's rows, the one with its payload first
COLUMNS = f"{_RUN}, {_STEP}"  #: of a run r and its steps s
# What must move next can be told without what the steps were given and gave.
_LEAN = COLUMNS.replace(_PAYLOAD, "NULL").replace(_RESULT, "NULL")
_READ = f"""
SELECT {_LEAN} FROM sagas_run r JOIN sagas_step s ON s.run_id = r.id
WHERE r.id = %(id)s ORDER BY {ORDER}"""
_READ_MANY = f"""
SELECT r.id, {_LEAN} FROM sagas_run r JOIN sagas_step s ON s.run_id = r.id
WHERE r.id = ANY(%s) ORDER BY r.id, {ORDER}"""
#: The documents of a run: its payload, and the results of its steps by their ids.
DOCUMENTS = """
SELECT NULL::bigint AS step, coalesce(amended, payload)::text AS document
FROM sagas_run WHERE id = %(id)s
UNION ALL SELECT id, result::text FROM sagas_step WHERE run_id = %(id)s AND result IS NOT NULL"""
#: Of an event e: the hash of all that it says.
EVENT_HASH = """sha256(convert_to(jsonb_build_array(e.id, e.run_id,
    to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), e.step, e.direction, e.old,
    e.new, e.attempt, e.epoch, e.worker, e.data)::text, 'UTF8'))"""
#: Of a run that is called run: what its first event has the digest of.
STARTED_WITH = "jsonb_build_array(run.saga, run.business_key, run.payload)"
_LOCK = "SELECT 1 FROM sagas_run WHERE id = %s FOR NO KEY UPDATE"
_RUN_COLUMNS = 17

_UNFINISHED = f"r.status IN ({sql_list(MOVING_RUNS)})"
# A step that a worker would have claimed by now, but for a hold; or a run that would have turned
# back.
_FREE_AT = f"CASE WHEN s.status = '{StepStatus.IN_FLIGHT}' THEN {_HELD_UNTIL} ELSE s.due_at END"
_DUE = f"""s.status IN ({sql_list(CLAIMABLE_STEPS)})
  AND ({_FREE_AT} <= clock_timestamp()
    OR (s.direction = 'forward' AND r.deadline_at <= clock_timestamp()))"""
_STEPS = """(r.saga, r.version, s.name) IN (SELECT m.saga, m.version, m.name
  FROM json_to_recordset(%(steps)s::json) AS m(saga text, version int, name text))"""
_NOT_THIS = "r.id IS DISTINCT FROM %(but)s::uuid"
_COVERS = {
    "run": "r.id = %(target)s::uuid",
    "saga": "r.saga = %(target)s",
    "queue": _STEPS,
    "partner": _STEPS,
}


def read(run_id: UUID) -> RunView:
    """A run with its steps, in one statement; its documents only when ``complete`` asks for them.

    Raises:
        UnknownRun: there is no such run.
    """
    rows = db.execute(_READ, {"id": run_id})
    if not rows:
        raise UnknownRun(f"No run has the id {run_id}.")
    return view_of(run_id, rows)


def complete(view: RunView) -> str:
    """Read a run's payload and results, unless the view has them; gives the payload.

    Raises:
        UnknownRun: the run is gone.
    """
    if view.payload is None:
        add_documents(view, db.execute(DOCUMENTS, {"id": view.id}))
    if view.payload is None:
        raise UnknownRun(f"No run has the id {view.id}.")
    return view.payload


def add_documents(view: RunView, documents: Iterable[tuple[Any, ...]]) -> None:
    """Complete a view with rows of ``DOCUMENTS``; what was planned on it since it was read stays.

    A step that is pending has no result, whatever it gave before it was rewound.
    """
    found = dict(documents)
    view.payload = found.pop(None, None)
    for row in view.steps.values():
        if row.result is None and row.status is not StepStatus.PENDING and row.id is not None:
            row.result = found.get(row.id)


def read_locked(run_id: UUID) -> RunView:
    """As ``read``, inside a transaction: nobody else moves the run until it ends.

    The lock comes first, in a statement of its own, so that the reading sees what the one who
    held the lock before has committed.
    """
    db.execute(_LOCK, [run_id])
    return read(run_id)


def read_many(run_ids: Sequence[UUID]) -> list[RunView]:
    """Runs as ``read`` gives them, in one statement, in the order of their ids; not unknown ones.

    All of them are in memory at once, so give some hundreds at most.
    """
    return [view_of(run_id, rows) for run_id, rows in _by_run(run_ids)]


def glance(run_ids: Sequence[UUID]) -> dict[UUID, Callable[[], RunView]]:
    """As ``read_many``, but each is made when it is called for; by their ids.

    So one odd run keeps no others from being seen.
    """
    return {run_id: partial(view_of, run_id, rows) for run_id, rows in _by_run(run_ids)}


def _by_run(run_ids: Sequence[UUID]) -> Iterator[tuple[UUID, list[tuple[Any, ...]]]]:
    found = groupby(db.execute(_READ_MANY, [list(run_ids)]), key=itemgetter(0))
    return ((run_id, [row[1:] for row in rows]) for run_id, rows in found)


def stopped(kind: str, target: str, steps: Reach, *, but: UUID | None = None) -> list[UUID]:
    """The runs that a hold keeps waiting, the oldest first. Reads every unfinished run.

    Args:
        steps: what a hold on a queue or a partner covers, from ``define.hold.reach``.
        but: not this run, which it lets through.
    """
    sql = f"""
SELECT r.id FROM sagas_run r WHERE {_UNFINISHED} AND {_NOT_THIS} AND {_waits(kind)} ORDER BY r.id"""
    return [run_id for (run_id,) in db.execute(sql, _covered(target, steps, but))]


def put_off(steps: Reach, seconds: float) -> list[UUID]:
    """The runs that wait at one of these steps, though a sweep looks only later than that."""
    sql = f"""
SELECT r.id FROM sagas_run r
WHERE r.wake_at > clock_timestamp() + %(seconds)s::float8 * interval '1 second'
  AND {_waits("queue")} ORDER BY r.id"""
    params = _covered("", steps, None) | {"seconds": seconds}
    return [run_id for (run_id,) in db.execute(sql, params)]


def forsaken(pins: Sequence[str], seconds: float, most: int) -> list[UUID]:
    """The runs that pin these definitions and that a sweep should have looked at so long ago.

    Args:
        pins: as ``saga/version/fingerprint``.
    """
    params = {"pins": list(pins), "seconds": seconds, "most": most}
    return [run_id for (run_id,) in db.execute(_FORSAKEN, params)]


_FORSAKEN = """
SELECT id FROM sagas_run
WHERE wake_at <= statement_timestamp() - %(seconds)s::float8 * interval '1 second'
  AND saga || '/' || version || '/' || fingerprint = ANY(%(pins)s::text[])
ORDER BY wake_at LIMIT %(most)s::int"""


def longest_stopped(steps: Reach, *, but: UUID | None) -> UUID | None:
    """The run that a worker could have taken longest ago to do one of these steps; None: none.

    Reads every unfinished run. One that would turn back instead comes last, and one that is held
    by itself not at all.

    Args:
        but: another one than this, and the next one after it if it still waits: so every run has
            its turn though the first may be stuck.
    """
    return next((run_id for (run_id,) in db.execute(_LONGEST, _covered("", steps, but))), None)


_LONGEST = f"""
WITH waiting AS (
  SELECT r.id, {_FREE_AT} AS since, s.direction = 'forward'
    AND (r.halt <> '' OR coalesce(r.deadline_at <= clock_timestamp(), false)) AS turns
  FROM sagas_run r JOIN sagas_step s ON s.run_id = r.id
  WHERE {_UNFINISHED} AND s.status IN ({sql_list(CLAIMABLE_STEPS)})
    AND {_FREE_AT} <= clock_timestamp() AND {_STEPS} AND NOT EXISTS (
      SELECT 1 FROM sagas_hold h
      WHERE h.lifted_at IS NULL AND h.kind = 'run' AND h.target = r.id::text))
SELECT id FROM waiting r WHERE {_NOT_THIS}
ORDER BY turns, (since, id) <= (
  SELECT since, id FROM waiting WHERE id = %(but)s::uuid ORDER BY since LIMIT 1), since, id
LIMIT 1"""


def count_stopped(
    kind: str, target: str, steps: Reach, *, most: int, among: int, but: UUID | None = None
) -> int:
    """How many runs a hold keeps waiting, as ``stopped``, counted with bounded effort.

    Args:
        most: no more than these are counted.
        among: no more unfinished runs than these are looked at.
        but: not this run, which it lets through.
    """
    one = _COVERS[kind] if kind == "run" else "true"
    sql = f"""
SELECT count(*) FROM (
  SELECT 1 FROM (SELECT * FROM sagas_run r WHERE {_UNFINISHED} AND {one} LIMIT %(among)s) r
  WHERE {_NOT_THIS} AND {_waits(kind)} LIMIT %(most)s) found"""
    params = _covered(target, steps, but) | {"most": most, "among": among}
    return int(db.execute(sql, params)[0][0])


def _waits(kind: str) -> str:
    """The condition that a run waits; with a limit, or all steps might be read to answer it."""
    return f"""(SELECT s.id FROM sagas_step s
    WHERE s.run_id = r.id AND {_DUE} AND {_COVERS[kind]} LIMIT 1) IS NOT NULL"""


def _covered(target: str, steps: Reach, but: UUID | None) -> dict[str, Any]:
    rows = [dict(zip(("saga", "version", "name"), step, strict=True)) for step in steps]
    return {"target": target, "steps": json.dumps(rows), "but": but}


def view_of(run_id: UUID, rows: list[tuple[Any, ...]]) -> RunView:
    """A run from rows of ``COLUMNS``, one for each step."""
    view = _run(run_id, rows[0])
    for row in rows:
        step = _step(row[_RUN_COLUMNS:])
        view.steps[step.direction, step.name] = step
    return view


def _run(run_id: UUID, row: tuple[Any, ...]) -> RunView:
    return RunView(
        id=run_id,
        saga=row[0],
        version=row[1],
        fingerprint=row[2],
        business_key=row[3],
        payload=row[4],
        status=RunStatus(row[5]),
        epoch=row[6],
        revision=row[7],
        halt=Halt(row[8]),
        attention=row[9],
        error_group=row[10],
        owner=row[11],
        holds=frozenset(row[12] or ()),
        deadline=row[13],
        now=row[14],
        lifetime=row[15],
        wake_in=row[16],
    )


def _step(row: tuple[Any, ...]) -> StepView:
    return StepView(
        id=row[0],
        name=row[1],
        direction=Direction(row[2]),
        position=row[3],
        status=StepStatus(row[4]),
        attempt=row[5],
        tries=row[6],
        probes=row[7],
        losses=row[8],
        in_doubt=row[9],
        generation=row[10],
        free_in=row[11],
        elapsed=row[12],
        waited=row[13],
        signal=row[14],
        correlation=row[15],
        result=row[16],
        worker=row[17],
        pid=row[18],
        error=row[19],
        doubted=row[20],
    )

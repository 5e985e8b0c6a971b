"""Verify: does the log of each run tell the same as its rows, and have its documents its digests?

Documents are hashed here, with nothing but what is stored and the key; see ``sagas.keys``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sagas import db, keys, record
from sagas.history import Fact, Replay, replay
from sagas.states import RENEWED_STEPS, UNTRIED_STEPS, StepStatus

# One statement, so one moment: a run that moves meanwhile is seen before or after, never between.
_HASHED = f"encode({keys.INNER}, 'hex')"
_BATCH = f"""
SELECT run.id, run.status, run.epoch,
  (SELECT json_agg(json_build_array(s.direction, s.name, s.status, s.attempt,
                     {_HASHED.format("coalesce(s.result, 'null')")})
                   ORDER BY s.direction DESC, s.position)
   FROM sagas_step s WHERE s.run_id = run.id)::text,
  (SELECT json_agg(json_build_array(e.step, e.direction, e.old, e.new, e.epoch, e.attempt,
                     e.data ->> 'digest', e.data ->> 'input')
                   ORDER BY e.id)
   FROM sagas_event e WHERE e.run_id = run.id)::text,
  {_HASHED.format(record.STARTED_WITH)},
  CASE WHEN run.amended IS NOT NULL THEN {_HASHED.format("run.amended")} END
FROM sagas_run run
WHERE {{}} ORDER BY run.id LIMIT %(batch)s"""
_STRAY = """
SELECT e.run_id, count(*) FROM sagas_event e
WHERE NOT EXISTS (SELECT 1 FROM sagas_run r WHERE r.id = e.run_id) GROUP BY e.run_id"""
_CHOSEN = {
    "saga": "run.saga = %(saga)s",
    "since": "run.created_at >= %(since)s",
    "ids": "run.id = ANY(%(ids)s)",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one run: each difference in words, none if log and rows agree.

    Attributes:
        unchecked: how many of its documents have no digest, or one of a key that is not known.
    """

    run_id: UUID
    differences: list[str]
    unchecked: int = 0


def verify(
    *,
    saga: str | None = None,
    since: datetime | None = None,
    ids: Sequence[UUID] | None = None,
    batch: int = 200,
) -> Iterator[Verdict]:
    """Rebuild runs from their events and compare them with their rows, in order of their ids.

    If all runs are asked for, then also events whose run is gone are found.

    Args:
        saga: only this one's runs.
        since: only runs created then or later.
        ids: only these runs; those that do not exist are passed over.
        batch: how many runs are held in memory at once.
    """
    chosen = {"saga": saga, "since": since, "ids": None if ids is None else list(ids)}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    sql = _BATCH.format(" AND ".join(["run.id > %(after)s", *map(_CHOSEN.__getitem__, chosen)]))
    after = UUID(int=0)
    while rows := db.execute(sql, {**chosen, "after": after, "batch": batch}):
        yield from (_verdict(*row) for row in rows)
        after = rows[-1][0]
    if not chosen:
        for run_id, events in db.execute(_STRAY):
            yield Verdict(run_id, [f"the run is gone, and {events:,} of its events are not"])


def _verdict(
    run_id: UUID,
    status: str,
    epoch: int,
    steps: str,
    events: str,
    started_with: str,
    amended: str | None,
) -> Verdict:
    log, rows = json.loads(events or "[]"), json.loads(steps or "[]")
    told = replay(Fact(*event) for *event, _, _ in log)
    differences = [f"the log is not a legal one: {problem}" for problem in told.problems]
    differences += _compared("status of the run", told.status or "nothing", status)
    differences += _compared("epoch of the run", told.epoch, epoch)
    differences += _steps(told, rows)
    documents = list(_documents(run_id, log, rows, started_with, amended))
    differences += [problem for problem in documents if problem]
    return Verdict(run_id, differences, unchecked=documents.count(None))


def _steps(told: Replay, rows: list[list[Any]]) -> Iterator[str]:
    for direction, name, status, attempt, _ in rows:
        place, step = (direction, name), f"step {name} ({direction})"
        expected = told.steps.get(place, StepStatus.PENDING.value)
        yield from _compared(f"status of {step}", expected, status)
        yield from _compared(f"attempts of {step}", told.attempts.get(place, 0), attempt)
    known = {(direction, name) for direction, name, *_ in rows}
    for (direction, name), status in told.steps.items():
        if (direction, name) not in known and status not in _LEFT_OUT:
            yield f"status of step {name} ({direction}): the events say {status}, there is no row"


# What had not been done, a run that moves to another version of its saga may do no more.
_LEFT_OUT = UNTRIED_STEPS - {StepStatus.READY}


def _documents(
    run_id: UUID,
    log: list[list[Any]],
    rows: list[list[Any]],
    started_with: str,
    amended: str | None,
) -> Iterator[str | None]:
    """What is wrong with each document of a run: empty: nothing; None: nothing tells."""
    start: str | None = log[0][-2] if log and not log[0][0] else None
    given = next((changed for *_, changed in reversed(log) if changed), None)
    yield _document(run_id, "saga, key or payload of the run", start, started_with)
    if amended is not None and given is None:
        yield None if start is None else "changed payload of the run: the events know of no change"
    elif given is not None:
        yield _document(run_id, "changed payload of the run", given, amended or "")
    digests = _newest(log)
    for direction, name, status, _, found in rows:
        if digest := digests.get((direction, name)):
            yield _document(run_id, f"result of step {name} ({direction})", digest, found)
        elif status == StepStatus.SUCCEEDED:
            yield None


def _newest(log: list[list[Any]]) -> dict[tuple[str, str], str | None]:
    """The digest of what each step gave last; none of one that is to be done once more."""
    newest: dict[tuple[str, str], str | None] = {}
    for step, direction, _, new, _, _, digest, _ in log:
        if digest or new in RENEWED_STEPS:
            newest[direction, step] = digest
    return newest


def _document(run_id: UUID, what: str, digest: str | None, found: str) -> str | None:
    key = keys.known().get((digest or "").partition(":")[0])
    if key is None:
        return None
    same = found and key.digest(run_id, bytes.fromhex(found)) == digest
    return "" if same else f"{what}: it is not what the events have the digest of"


def _compared(what: str, told: str | int, found: str | int) -> Iterator[str]:
    if told != found:
        yield f"{what}: the events say {told}, its row says {found}"

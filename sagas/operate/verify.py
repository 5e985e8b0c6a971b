"""Verify: does the log of each run tell the same as its rows?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sagas import db
from sagas.history import Fact, Replay, replay
from sagas.states import UNTRIED_STEPS, StepStatus

# One statement, so one moment: a run that moves meanwhile is seen before or after, never between.
_BATCH = """
SELECT r.id, r.status, r.epoch,
  (SELECT json_agg(json_build_array(s.direction, s.name, s.status, s.attempt)
                   ORDER BY s.direction DESC, s.position)
   FROM sagas_step s WHERE s.run_id = r.id)::text,
  (SELECT json_agg(json_build_array(e.step, e.direction, e.old, e.new, e.epoch, e.attempt)
                   ORDER BY e.id)
   FROM sagas_event e WHERE e.run_id = r.id)::text
FROM sagas_run r
WHERE {} ORDER BY r.id LIMIT %(batch)s"""
_CHOSEN = {
    "saga": "r.saga = %(saga)s",
    "since": "r.created_at >= %(since)s",
    "ids": "r.id = ANY(%(ids)s)",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one run: each difference in words, none if log and rows agree."""

    run_id: UUID
    differences: list[str]


def verify(
    *,
    saga: str | None = None,
    since: datetime | None = None,
    ids: Sequence[UUID] | None = None,
    batch: int = 200,
) -> Iterator[Verdict]:
    """Rebuild runs from their events and compare them with their rows, in order of their ids.

    Args:
        saga: only this one's runs.
        since: only runs created then or later.
        ids: only these runs; those that do not exist are passed over.
        batch: how many runs are held in memory at once.
    """
    chosen = {"saga": saga, "since": since, "ids": None if ids is None else list(ids)}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    sql = _BATCH.format(" AND ".join(["r.id > %(after)s", *map(_CHOSEN.__getitem__, chosen)]))
    after = UUID(int=0)
    while rows := db.execute(sql, {**chosen, "after": after, "batch": batch}):
        yield from (_verdict(*row) for row in rows)
        after = rows[-1][0]


def _verdict(run_id: UUID, status: str, epoch: int, steps: str, events: str) -> Verdict:
    told = replay(Fact(*event) for event in json.loads(events or "[]"))
    differences = [f"the log is not a legal one: {problem}" for problem in told.problems]
    differences += _compared("status of the run", told.status or "nothing", status)
    differences += _compared("epoch of the run", told.epoch, epoch)
    differences += _steps(told, json.loads(steps or "[]"))
    return Verdict(run_id, differences)


def _steps(told: Replay, rows: list[list[Any]]) -> Iterator[str]:
    for direction, name, status, attempt in rows:
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


def _compared(what: str, told: str | int, found: str | int) -> Iterator[str]:
    if told != found:
        yield f"{what}: the events say {told}, its row says {found}"

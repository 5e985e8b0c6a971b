"""Deploy: can this code continue the runs that are under way?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from sagas import db
from sagas.define import registry
from sagas.define.saga import Definition, safe_problems
from sagas.errors import PayloadInvalid, UnknownSaga
from sagas.models import Step
from sagas.run.context import restored
from sagas.states import TERMINAL_RUNS, Direction

#: Of each definition the documents of so many runs are read, unless the caller says otherwise.
DOCUMENTS = 1000

_TERMINAL = ", ".join(f"'{status}'" for status in sorted(TERMINAL_RUNS))
# Ids are in the order of time, and uuid has no min() before PostgreSQL 18.
_GROUPS = f"""
SELECT saga, version, fingerprint, count(*), min(created_at), min(id::text)::uuid
FROM sagas_run WHERE NOT status IN ({_TERMINAL})
GROUP BY saga, version, fingerprint ORDER BY saga, version, min(created_at)"""
_DOCUMENTS = f"""
SELECT r.id, coalesce(r.amended, r.payload)::text,
  (SELECT json_object_agg(s.name, s.result::text) FROM sagas_step s
   WHERE s.run_id = r.id AND s.direction = '{Direction.FORWARD}' AND s.result IS NOT NULL)::text
FROM sagas_run r
WHERE NOT r.status IN ({_TERMINAL}) AND r.saga = %(saga)s AND r.version = %(version)s
  AND r.fingerprint = %(fingerprint)s AND r.id > %(after)s
ORDER BY r.id LIMIT %(limit)s"""
_AT_ONCE = 20  # runs whose documents are in memory: each may be large


@dataclass(slots=True)
class Unfit:
    """What is stored of some runs and does not fit a model of this code.

    Attributes:
        place: ``the payload``, or ``the result of 'step'``.
        field: the place within it; empty: the whole.
        message: what the model says of it, without the value.
        runs: of how many of the runs that were looked at.
        example: the oldest of them.
    """

    place: str
    field: str
    message: str
    runs: int
    example: UUID


@dataclass(frozen=True, slots=True)
class Group:
    """Unfinished runs that pin the same definition. ``mismatch`` is empty if they can go on.

    Attributes:
        since: when the oldest of them was created.
        read: of how many of them the payload and results were read ...
        unfit: ... and what of that the code cannot read.
    """

    saga: str
    version: int
    fingerprint: str
    runs: int
    since: datetime
    oldest: UUID
    mismatch: str
    read: int = 0
    unfit: Sequence[Unfit] = ()

    @property
    def continues(self) -> bool:
        """Whether this code can continue them, as far as was looked at."""
        return not self.mismatch and not self.unfit


def check_deploy(documents: int = DOCUMENTS) -> Iterator[Group]:
    """Compare what unfinished runs pin and hold with the definitions that this process knows.

    One statement for all groups, one more for each that cannot go on, to say why, and one for
    every 20 runs whose payload and results are read.

    Args:
        documents: of how many runs of each definition they are, the oldest first.
    """
    for saga, version, fingerprint, runs, since, oldest in db.execute(_GROUPS):
        group = (saga, version, fingerprint, runs, since, oldest)
        try:
            definition = registry.pinned(saga, version, fingerprint)
        except UnknownSaga:
            yield Group(*group, _mismatch(saga, version, fingerprint, oldest))
        else:
            read, unfit = _read(definition, fingerprint, documents)
            yield Group(*group, "", read, unfit)


def _mismatch(saga: str, version: int, fingerprint: str, sample: UUID) -> str:
    rows = Step.objects.filter(run_id=sample, direction=Direction.FORWARD).order_by("position")
    started = list(rows.values_list("name", flat=True))
    return registry.mismatch(saga, version, fingerprint, started)


# --- what is stored ------------------------------------------------------------------------


def _read(saga: Definition, fingerprint: str, most: int) -> tuple[int, tuple[Unfit, ...]]:
    found: dict[tuple[str, str, str], Unfit] = {}
    read = 0
    for run_id, payload, results in _documents(saga, fingerprint, most):
        read += 1
        for what in set(_unfit(saga, payload, json.loads(results or "{}"))):
            found.setdefault(what, Unfit(*what, 0, run_id)).runs += 1
    return read, tuple(found.values())


def _documents(saga: Definition, fingerprint: str, most: int) -> Iterator[tuple[Any, ...]]:
    after, left = UUID(int=0), most
    which = {"saga": saga.name, "version": saga.version, "fingerprint": fingerprint}
    while left > 0:
        limit = min(left, _AT_ONCE)
        rows = db.execute(_DOCUMENTS, which | {"after": after, "limit": limit})
        yield from rows
        if len(rows) < limit:
            return
        after, left = rows[-1][0], left - limit


def _unfit(
    saga: Definition, payload: str, results: dict[str, str]
) -> Iterator[tuple[str, str, str]]:
    try:
        saga.restored(payload)
    except PayloadInvalid as error:
        yield from (("the payload", p["field"], p["message"]) for p in error.problems)
    for name, result in results.items():
        try:
            restored(saga.steps[name], result)
        except ValidationError as error:
            place = f"the result of {name!r}"
            yield from ((place, p["field"], p["message"]) for p in safe_problems(error))

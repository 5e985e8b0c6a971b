"""Deploy: can this code continue the runs that are under way?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sagas import db
from sagas.define import registry
from sagas.errors import UnknownSaga
from sagas.models import Step
from sagas.states import TERMINAL_RUNS, Direction

_TERMINAL = ", ".join(f"'{status}'" for status in sorted(TERMINAL_RUNS))
# Ids are in the order of time, and uuid has no min() before PostgreSQL 18.
_GROUPS = f"""
SELECT saga, version, fingerprint, count(*), min(created_at), min(id::text)::uuid
FROM sagas_run WHERE NOT status IN ({_TERMINAL})
GROUP BY saga, version, fingerprint ORDER BY saga, version, min(created_at)"""


@dataclass(frozen=True, slots=True)
class Group:
    """Unfinished runs that pin the same definition. ``mismatch`` is empty if they can go on."""

    saga: str
    version: int
    fingerprint: str
    runs: int
    since: datetime  # when the oldest of them was created
    oldest: UUID
    mismatch: str


def check_deploy() -> Iterator[Group]:
    """Compare what unfinished runs pin with the definitions that this process knows.

    One statement for all groups, and one more for each that cannot go on, to say why.
    """
    for saga, version, fingerprint, runs, since, oldest in db.execute(_GROUPS):
        mismatch = _mismatch(saga, version, fingerprint, oldest)
        yield Group(saga, version, fingerprint, runs, since, oldest, mismatch)


def _mismatch(saga: str, version: int, fingerprint: str, sample: UUID) -> str:
    with suppress(UnknownSaga):
        registry.pinned(saga, version, fingerprint)
        return ""
    rows = Step.objects.filter(run_id=sample, direction=Direction.FORWARD).order_by("position")
    started = list(rows.values_list("name", flat=True))
    return registry.mismatch(saga, version, fingerprint, started)

"""The workers that live: which queues they read, and which sagas they know, as their beats say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagas import db
from sagas.define.fingerprint import accepts

_LIVING = """
SELECT DISTINCT queues, sagas FROM sagas_worker w
WHERE lease_until >= clock_timestamp() AND name IS DISTINCT FROM %(but)s"""
_EARLIER = f"""{_LIVING} AND (started_at, name) < (
  SELECT started_at, name FROM sagas_worker WHERE name = %(but)s)"""


@dataclass(frozen=True, slots=True)
class Workers:
    """What some workers read and know. None: one of them has not said it, so nobody can tell.

    Attributes:
        alive: whether there is any.
    """

    queues: frozenset[str] | None = None
    sagas: frozenset[str] | None = None
    alive: bool = True

    def read(self, queue: str) -> bool:
        """Whether one of them may read a queue."""
        return self.queues is None or queue in self.queues

    def know(self, saga: str, version: int, fingerprint: str) -> bool:
        """Whether one of them may know a definition with which such a run can go on."""
        if self.sagas is None:
            return True
        start = pin(saga, version, "")
        known = (text.removeprefix(start) for text in self.sagas if text.startswith(start))
        return any(accepts(current, fingerprint) for current in known)


#: What is known where nobody was asked.
ANYBODY = Workers()


def pin(saga: str, version: int, fingerprint: str) -> str:
    """The name of a definition that a worker knows, or that a run pins."""
    return f"{saga}/{version}/{fingerprint}"


def living(*, but: str | None = None) -> Workers:
    """What the workers that live read and know.

    Args:
        but: not this worker.
    """
    return _together(db.execute(_LIVING, {"but": but}))


def queues_before(worker: str) -> frozenset[str]:
    """The queues that the workers say they read that live and began before this one did."""
    rows = db.execute(_EARLIER, {"but": worker})
    return frozenset(queue for queues, _ in rows for queue in queues)


def _together(rows: list[tuple[Any, ...]]) -> Workers:
    queues, sagas = [row[0] for row in rows], [row[1] for row in rows]
    return Workers(
        # Without any worker somebody sends all the same: for those that are about to start.
        frozenset(name for names in queues for name in names) if queues and all(queues) else None,
        None if None in sagas else frozenset(name for names in sagas for name in names),
        alive=bool(rows),
    )

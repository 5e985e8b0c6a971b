"""What starts a run, and the limits on runs that start runs.

Runs that start runs form a chain. One without end would take every worker, so a chain may be only
so long, and start only so many runs in a minute. A run that has waited for a minute or longer, for
a signal, a moment or its partner, begins a chain anew with what it starts then: what follows itself
once a day is no runaway.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sagas import db
from sagas.conf import conf
from sagas.errors import StartRefused


class OriginKind(StrEnum):
    """What started a run."""

    REQUEST = "request"  # of the API
    COMMAND = "command"
    RUN = "run"  # a step of another one


@dataclass(frozen=True, slots=True)
class Origin:
    """What starts runs now: its kind, and which one, such as a run's id or a user's name."""

    kind: OriginKind
    id: str


@dataclass(frozen=True, slots=True)
class Link:
    """A new run's place in a chain of runs that start runs.

    Attributes:
        depth: how many runs came before it.
        root: the first of them; None: this is the first.
    """

    depth: int = 0
    root: UUID | None = None


_current: ContextVar[Origin | None] = ContextVar("sagas_origin", default=None)

# The parent's waits are in its history. A run that is being started elsewhere in this moment is not
# counted yet, so as many more may start as transactions do it side by side.
_LINK = """
SELECT coalesce(p.root, p.id), p.depth,
  coalesce((SELECT max(until - at) >= interval '1 minute' FROM (
      SELECT at, new, lead(at) OVER (PARTITION BY step, direction ORDER BY id) AS until
      FROM (SELECT * FROM sagas_event WHERE run_id = p.id ORDER BY id DESC LIMIT 1000) newest
    ) e WHERE new = 'waiting'), false),
  (SELECT count(*) FROM (
    SELECT 1 FROM sagas_run c WHERE c.root = coalesce(p.root, p.id)
      AND c.created_at > clock_timestamp() - interval '1 minute' LIMIT %(most)s) started)
FROM sagas_run p WHERE p.id = %(run)s"""

_CHAIN = """
WITH RECURSIVE chain AS (
  SELECT id, saga, depth, origin_kind, origin_id, 1 AS nth FROM sagas_run WHERE id = %(run)s
  UNION ALL
  SELECT r.id, r.saga, r.depth, r.origin_kind, r.origin_id, nth + 1
  FROM chain c JOIN sagas_run r ON r.id = c.origin_id::uuid
  WHERE c.origin_kind = 'run' AND c.depth > 0 AND nth < 1000)
SELECT saga FROM chain ORDER BY nth DESC"""


@contextmanager
def starting(kind: OriginKind, which: str) -> Iterator[None]:
    """Note this as the origin of every run that is started inside."""
    token = _current.set(Origin(kind, which))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Origin | None:
    """What starts runs now; None: code that did not say what it is."""
    return _current.get()


def link(saga: str) -> Link:
    """The place of a run that is started now; costs a statement only inside a step.

    Args:
        saga: the new run's.

    Raises:
        StartRefused: its chain is too long, or has started too many runs in the last minute.
    """
    origin = current()
    if origin is None or origin.kind is not OriginKind.RUN:
        return Link()
    most = conf().MAX_STARTS_PER_MINUTE
    rows = db.execute(_LINK, {"run": UUID(origin.id), "most": most})
    if not rows:  # a test's run that was never stored
        return Link()
    root, depth, waited, started = rows[0]
    if waited:
        return Link()
    if depth >= conf().MAX_DEPTH:
        raise StartRefused(
            f"Saga {saga!r} was not started: {depth + 1} runs have started one another before it, "
            f"{_chain(origin.id, saga)}. End the recursion, let a run wait for a minute before it "
            "starts the next, or raise SAGAS['MAX_DEPTH']."
        )
    if started >= most:
        raise StartRefused(
            f"Saga {saga!r} was not started: run {root} and those that it led to have started "
            f"{started:,} runs in a minute, lately {_chain(origin.id, saga)}. Start fewer, or "
            "raise SAGAS['MAX_STARTS_PER_MINUTE']."
        )
    return Link(depth + 1, root)


def _chain(parent: str, saga: str) -> str:
    """The sagas of a chain, the first one first; of a long one its two ends."""
    names = [name for (name,) in db.execute(_CHAIN, {"run": UUID(parent)})] + [saga]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN // 2], "…", *names[-_SHOWN // 2 :]]
    return " → ".join(names)


_SHOWN = 6

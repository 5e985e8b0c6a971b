"""A worker's sign of life: its steps in flight stay its own while it beats."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable

from sagas import db, transitions
from sagas.conf import conf
from sagas.define import registry
from sagas.identity import identity
from sagas.run.workers import pin

_BEAT = """
INSERT INTO sagas_worker AS w
  (name, host, pid, started_at, beat_at, lease_until, queues, processes, sagas)
VALUES (%(name)s, %(host)s, %(pid)s, clock_timestamp(), clock_timestamp(),
  clock_timestamp() + %(lease)s::float8 * interval '1 second',
  coalesce(%(queues)s::varchar[], '{}'), %(processes)s::int, %(sagas)s::varchar[])
ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at, lease_until = excluded.lease_until,
  queues = coalesce(%(queues)s::varchar[], w.queues),
  processes = coalesce(excluded.processes, w.processes),
  -- Not written anew when it is the same: it may be long.
  sagas = CASE WHEN w.sagas = excluded.sagas THEN w.sagas ELSE excluded.sagas END"""
_LEAVE = "DELETE FROM sagas_worker WHERE name = %s"
_FORGET = "DELETE FROM sagas_worker WHERE lease_until < clock_timestamp() - interval '1 day'"

_beaten: float | None = None  # the monotonic time of this process's last beat
_queues: list[str] | None = None  # None: not for this process to say ...
_processes: int | None = None  # ... as in a pool's child, which beats for its parent


def describe(queues: Iterable[str], processes: int | None) -> None:
    """Have the beats of this process say what its worker reads, and with how many processes."""
    global _queues, _processes
    _queues, _processes = sorted(name[:200] for name in queues), processes


def beat() -> None:
    """Say that this worker lives; to be repeated well before a lease is over."""
    global _beaten
    params = {
        "name": identity(),
        "host": socket.gethostname()[:255],
        "pid": os.getpid(),
        "lease": conf().LEASE_SECONDS,
        "queues": _queues,
        "processes": _processes,
        "sagas": _sagas(),
    }
    db.execute(_BEAT, params)
    if _beaten is None:
        db.execute(_FORGET)
    _beaten = time.monotonic()


_MOST_SAGAS = 2_000


def _sagas() -> list[str] | None:
    """The definitions that this process knows; None if they are too many to say."""
    known = registry.all_sagas()
    if len(known) > _MOST_SAGAS:
        return None
    return [pin(saga.name, saga.version, saga.fingerprint) for saga in known]


def ensure() -> None:
    """Beat unless this process did lately: without a living worker a claim would lapse at once.

    A pool's child cannot see that its parent beats, and tasks also run where no worker is.
    """
    if _beaten is None or time.monotonic() - _beaten > conf().LEASE_SECONDS / 2:
        beat()


def leave() -> None:
    """Hand back what this worker still holds, and be forgotten."""
    global _beaten
    transitions.free(identity())
    db.execute(_LEAVE, [identity()])
    _beaten = None

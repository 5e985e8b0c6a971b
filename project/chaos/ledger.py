"""The partner's own account, synced to the disk: every arrival and every effect."""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arrival (
  seq INTEGER PRIMARY KEY, at REAL, key TEXT, run TEXT, step TEXT, direction TEXT, attempt INT,
  fault TEXT);
CREATE INDEX IF NOT EXISTS arrival_key ON arrival (key);
CREATE INDEX IF NOT EXISTS arrival_of ON arrival (run, step, direction);
CREATE TABLE IF NOT EXISTS effect (
  seq INTEGER PRIMARY KEY, at REAL, key TEXT, run TEXT, step TEXT, direction TEXT, attempt INT);
CREATE INDEX IF NOT EXISTS effect_of ON effect (run, step, direction);
CREATE INDEX IF NOT EXISTS effect_key ON effect (key);"""


@dataclass(frozen=True, slots=True)
class Call:
    """What arrives: which attempt of which step, with its idempotency key."""

    key: str
    run: str
    step: str
    direction: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An effect, in the order in which it took place. `at`: seconds since the epoch."""

    seq: int
    at: float
    call: Call


class Ledger:
    """One SQLite file. Safe between threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=20)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.executescript(_SCHEMA)

    def arrive(self, call: Call) -> int:
        """Note an arrival; give how many there are now of its step, whatever their keys."""
        with self._lock, self._database as database:
            database.execute(
                "INSERT INTO arrival (at, key, run, step, direction, attempt, fault) "
                "VALUES (?, ?, ?, ?, ?, ?, '')",
                (time.time(), call.key, call.run, call.step, call.direction, call.attempt),
            )
            counted = database.execute(
                "SELECT count(*) FROM arrival WHERE run = ? AND step = ? AND direction = ?",
                (call.run, call.step, call.direction),
            )
            return int(counted.fetchone()[0])

    def happen(self, call: Call, *, once: bool) -> None:
        """Have the effect; with `once` only if its key had none, and a step only if not undone."""
        with self._lock, self._database as database:
            if once and self._known(call):
                return
            database.execute(
                "INSERT INTO effect (at, key, run, step, direction, attempt) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (time.time(), call.key, call.run, call.step, call.direction, call.attempt),
            )

    def happened(self, key: str) -> bool:
        """Whether the key had an effect."""
        with self._lock:
            found = self._database.execute("SELECT 1 FROM effect WHERE key = ?", (key,))
            return found.fetchone() is not None

    def idle(self, key: str) -> float | None:
        """Seconds since the last arrival with that key, or None."""
        with self._lock:
            found = self._database.execute("SELECT max(at) FROM arrival WHERE key = ?", (key,))
            last = found.fetchone()[0]
        return None if last is None else time.time() - last

    def note(self, call: Call, fault: str) -> None:
        """Note what befell the latest arrival of a key."""
        with self._lock, self._database as database:
            database.execute(
                "UPDATE arrival SET fault = ? "
                "WHERE seq = (SELECT max(seq) FROM arrival WHERE key = ?)",
                (fault, call.key),
            )

    def effects(self) -> list[Entry]:
        """Every effect, in order."""
        with self._lock:
            rows = self._database.execute(
                "SELECT seq, at, key, run, step, direction, attempt FROM effect ORDER BY seq"
            ).fetchall()
        return [Entry(seq, at, Call(*call)) for seq, at, *call in rows]

    def faults(self) -> dict[str, int]:
        """How many arrivals each fault befell; the empty one: none."""
        with self._lock:
            return dict(
                self._database.execute("SELECT fault, count(*) FROM arrival GROUP BY fault")
            )

    def repeated(self) -> int:
        """How many arrivals repeated a key that had its effect: suppressed duplicates."""
        with self._lock:
            found = self._database.execute(
                "SELECT count(*) FROM arrival a WHERE EXISTS (SELECT 1 FROM effect e "
                "WHERE e.key = a.key AND e.at < a.at)"
            )
            return int(found.fetchone()[0])

    def _known(self, call: Call) -> bool:
        undone = (call.run, call.step)
        return (
            self._database.execute(
                "SELECT 1 FROM effect WHERE key = ? OR (? = 'forward' AND run = ? AND step = ? "
                "AND direction = 'backward')",
                (call.key, call.direction, *undone),
            ).fetchone()
            is not None
        )

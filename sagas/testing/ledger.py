"""A partner's ledger for the crash matrix: a file that survives the process that is killed."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS call (
  seq INTEGER PRIMARY KEY, step TEXT, direction TEXT, key TEXT, attempt INT);
CREATE TABLE IF NOT EXISTS effect (
  seq INTEGER PRIMARY KEY, step TEXT, direction TEXT, key TEXT UNIQUE, attempt INT);"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One call, or one effect, in the order in which the partner saw it."""

    seq: int
    step: str
    direction: str
    key: str
    attempt: int


class Ledger:
    """Calls and effects by idempotency key: a repeated key is a call without an effect."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as database:
            database.executescript(_SCHEMA)

    def record(self, step: str, direction: str, key: str, attempt: int) -> None:
        """A call arrives, and has its effect unless the key is known."""
        values = (step, direction, key, attempt)
        columns = "(step, direction, key, attempt) VALUES (?, ?, ?, ?)"
        with self._open() as database:
            database.execute(f"INSERT INTO call {columns}", values)
            database.execute(f"INSERT OR IGNORE INTO effect {columns}", values)

    def happened(self, key: str) -> bool:
        """Whether the key had an effect."""
        return any(effect.key == key for effect in self.effects())

    def calls(self) -> list[Entry]:
        """Every call, in order."""
        return self._read("call")

    def effects(self) -> list[Entry]:
        """Every effect, in order."""
        return self._read("effect")

    def _read(self, table: str) -> list[Entry]:
        with self._open() as database:
            rows = database.execute(
                f"SELECT seq, step, direction, key, attempt FROM {table} ORDER BY seq"
            ).fetchall()
        return [Entry(*row) for row in rows]

    def _open(self) -> sqlite3.Connection:
        return open_file(self._path)


def open_file(path: Path) -> sqlite3.Connection:
    """A database file that survives a killed process; it need not survive a power cut."""
    database = sqlite3.connect(path, timeout=20)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = OFF")
    return database

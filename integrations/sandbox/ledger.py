"""The sandbox's own record, fsynced before it answers: every arrival and every effect."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from integrations.effects import Balance, Effect, Problem, audit

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arrivals (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    service TEXT NOT NULL,
    operation TEXT NOT NULL,
    key TEXT NOT NULL,
    reference TEXT NOT NULL,
    fault TEXT NOT NULL,
    status INTEGER,
    replayed INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS effects (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    service TEXT NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL,
    key TEXT NOT NULL,
    reference TEXT NOT NULL,
    undoes INTEGER REFERENCES effects (seq),
    amount INTEGER
);
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that reached a service, and what was answered; `status` None: nothing was."""

    service: str
    operation: str
    key: str
    reference: str
    fault: str
    status: int | None
    replayed: bool
    seq: int = 0
    at: float = 0.0


class Ledger:
    """Reads a sandbox's ledger, also while the sandbox writes it or after it was killed."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def arrivals(self) -> list[Arrival]:
        """Every request, in the order it was recorded."""
        rows = self._rows("SELECT * FROM arrivals ORDER BY seq")
        return [Arrival(**{**row, "replayed": bool(row["replayed"])}) for row in rows]

    def effects(self, reference: str | None = None) -> list[Effect]:
        """Every effect, in order; only those of one business reference if given."""
        rows = self._rows("SELECT * FROM effects ORDER BY seq")
        effects = [Effect(**row) for row in rows]
        return [e for e in effects if reference in (None, e.reference)]

    def in_force(self, reference: str | None = None) -> list[Effect]:
        """The effects that are not undone, or only in part, and no undoing themselves."""
        effects = self.effects(reference)
        balance = Balance(effects)
        return [e for e in effects if e.undoes is None and balance.left(e.seq)]

    def taken(self, reference: str) -> int:
        """The money that was captured for a reference and not given back."""
        effects = self.effects(reference)
        balance = Balance(effects)
        return sum(balance.left(e.seq) for e in effects if e.kind == "captured")

    def audit(self) -> list[Problem]:
        """What happened more often than it should have; empty if each effect happened once."""
        return audit(self.effects())

    def _rows(self, query: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query)]


class Recorder:
    """Writes the ledger. One thread at a time may use it."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        known = [name for _, name, *_ in self._connection.execute("PRAGMA table_info(effects)")]
        if "amount" not in known:  # a ledger of before
            self._connection.execute("ALTER TABLE effects ADD COLUMN amount INTEGER")

    def numbers(self) -> Iterator[int]:
        """The numbers of the effects to come."""
        (last,) = self._connection.execute("SELECT coalesce(max(seq), 0) FROM effects").fetchone()
        return count(last + 1)

    def record(self, arrival: Arrival | None, effects: Sequence[Effect] = ()) -> None:
        """Commit one arrival and its effects together."""
        with self._transaction():
            if arrival is not None:
                self._insert_arrival(arrival)
            for effect in effects:
                self._insert_effect(effect)

    def clear(self) -> None:
        """Forget everything recorded."""
        with self._transaction():
            self._connection.execute("DELETE FROM effects")
            self._connection.execute("DELETE FROM arrivals")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _insert_arrival(self, arrival: Arrival) -> None:
        self._connection.execute(
            "INSERT INTO arrivals (at, service, operation, key, reference, fault, status, replayed)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                time.time(),
                arrival.service,
                arrival.operation,
                arrival.key,
                arrival.reference,
                arrival.fault,
                arrival.status,
                arrival.replayed,
            ),
        )

    def _insert_effect(self, effect: Effect) -> None:
        self._connection.execute(
            "INSERT INTO effects"
            " (seq, at, service, kind, object_id, key, reference, undoes, amount)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                effect.seq,
                time.time(),
                effect.service,
                effect.kind,
                effect.object_id,
                effect.key,
                effect.reference,
                effect.undoes,
                effect.amount,
            ),
        )

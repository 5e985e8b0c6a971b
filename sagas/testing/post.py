"""A post office in place of the broker: messages lie in a file until a test delivers them.

Chains and errbacks are Celery's own on the way in, and its own tracer performs each message on
the way out; only the socket is replaced.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from celery import Celery, current_app, uuid
from celery.app.trace import build_tracer

import sagas.tasks  # noqa: F401  (Celery must know them)
from sagas.testing.ledger import open_file


class Post:
    """Messages in the order of sending, each delivered as often as a test wants."""

    def __init__(self, path: Path, app: Celery | None = None) -> None:
        self._path = path
        self._app: Any = app or current_app
        with self._open() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS message (seq INTEGER PRIMARY KEY, name TEXT, "
                "message TEXT, deliveries INT DEFAULT 0)"
            )

    @contextmanager
    def open(self) -> Iterator[Post]:
        """Everything that Celery publishes inside lands here."""
        with (
            patch.object(self._app, "send_task", self._accept),
            patch.object(self._app, "producer_or_acquire", lambda *_: nullcontext()),
        ):
            yield self

    def deliver(self, copies: int = 1) -> bool:
        """Perform the oldest message that is not delivered yet. False: there is none."""
        with self._open() as database:
            row = database.execute(
                "SELECT seq, name, message FROM message WHERE deliveries = 0 ORDER BY seq LIMIT 1"
            ).fetchone()
            if row is None:
                return False
            database.execute("UPDATE message SET deliveries = ? WHERE seq = ?", (copies, row[0]))
        for _ in range(copies):
            self._perform(row[1], json.loads(row[2]))
        return True

    def drop_all(self) -> None:
        """Lose every message that is not delivered yet."""
        with self._open() as database:
            database.execute("UPDATE message SET deliveries = -1 WHERE deliveries = 0")

    def count(self) -> int:
        """How many messages were ever sent."""
        with self._open() as database:
            return int(database.execute("SELECT count(*) FROM message").fetchone()[0])

    def _accept(self, name: str, args: Any = None, kwargs: Any = None, **options: Any) -> None:
        embedded = {"chain": options.get("chain"), "errbacks": options.get("link_error")}
        message = {"id": uuid(), "args": args or [], "kwargs": kwargs or {}, **embedded}
        with self._open() as database:
            database.execute(
                "INSERT INTO message (name, message) VALUES (?, ?)",
                (name, json.dumps(message, default=str)),
            )

    def _perform(self, name: str, message: dict[str, Any]) -> None:
        tracer = build_tracer(name, self._app.tasks[name], app=self._app, propagate=True)
        request = {**message, "is_eager": False, "delivery_info": {}}
        tracer(message["id"], message["args"], message["kwargs"], request)

    def _open(self) -> sqlite3.Connection:
        return open_file(self._path)

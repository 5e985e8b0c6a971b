"""Counts the statements that processes send to PostgreSQL: one byte in a file for each.

It counts at psycopg's cursor, which every system measured here goes through. BEGIN, COMMIT and
ROLLBACK are not among them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psycopg

#: The variable that asks a process to count, and names the file.
VARIABLE = "BENCH_STATEMENTS"


def count_if_asked() -> None:
    """Count from now on, in this process and its forks, if the environment asks for it."""
    if path := os.environ.get(VARIABLE):
        count(Path(path))


def count(path: Path) -> None:
    """Append a byte to `path` for every statement that this process sends from now on."""
    tally = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    execute = psycopg.Cursor.execute

    def counted(self: psycopg.Cursor[Any], *args: Any, **kwargs: Any) -> psycopg.Cursor[Any]:
        os.write(tally, b".")
        return execute(self, *args, **kwargs)

    psycopg.Cursor.execute = counted  # type: ignore[method-assign,assignment]


def counted(path: Path) -> int:
    """How many statements `path` has seen."""
    return path.stat().st_size if path.exists() else 0

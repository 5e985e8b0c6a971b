"""Counting the statements that PostgreSQL gets, Django's own and the engine's prepared ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg


@contextmanager
def counted() -> Iterator[list[str]]:
    """Gives a list that every statement inside is added to."""
    seen: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        seen.append(str(query))
        return execute(cursor, query, *args, **options)

    with patch.object(psycopg.Cursor, "execute", noting):
        yield seen

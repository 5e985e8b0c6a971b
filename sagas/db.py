"""The hot path's door to PostgreSQL: prepared statements on Django's own connection.

Django binds parameters in the client, so the server parses and plans each statement anew; for
the few statements that a step costs this is most of their price. Transactions, errors and the
connection itself stay Django's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection


def execute(sql: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and give its rows (none for a statement that returns none).

    Raises:
        django.db.Error: as any query on Django's connection would.
    """
    connection.ensure_connection()
    connection.validate_no_broken_transaction()
    raw = connection.connection
    if raw.prepare_threshold is None:  # Django's way to say "never"; its own cursors never do
        raw.prepare_threshold = 5
    with connection.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.execute(sql, params, prepare=True)
        gave_rows = cursor.pgresult is not None and cursor.pgresult.nfields > 0
        return cursor.fetchall() if gave_rows else []

"""Whether prepared statements survive what is between us and PostgreSQL.

A pooler in transaction mode gives each transaction any of its server connections. A prepared
statement lives in one of them, so the next transaction may not find it, or find another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
from django.db import connection
from psycopg.errors import DuplicatePreparedStatement, InvalidSqlStatementName

_STATEMENT = "SELECT pg_backend_pid()"
_LEFT = "SELECT name FROM pg_prepared_statements WHERE statement = %s AND name LIKE '\\_pg3\\_%%'"
_ROUNDS = 5  # a busy pooler may give each of two clients its own connection again


def loses_prepared_statements() -> bool:
    """Whether a pooler is there that does. It is tried, on connections of their own.

    Raises:
        django.db.Error, psycopg.Error: the database does not answer.
    """
    with _client() as client:
        # A pooler tells its clients numbers of its own, by which they may cancel.
        if client.info.backend_pid == client.execute(_STATEMENT).fetchall()[0][0]:
            return False
    return any(_lost() for _ in range(_ROUNDS))


def _lost() -> bool:
    """Prepare a statement, and look whether another client finds it, or we do not."""
    with _client() as ours, _client() as other:
        try:
            prepared_in = _prepared(ours)
            with other.transaction():
                if other.execute(_STATEMENT).fetchall()[0][0] == prepared_in:
                    return _left_in(other)
                _prepared(ours)  # elsewhere, or where it was
        except (InvalidSqlStatementName, DuplicatePreparedStatement):
            return True
    return False


def _prepared(client: psycopg.Connection[Any]) -> int:
    """Run the statement as the engine runs its own; give the server connection it ran in."""
    return int(client.execute(_STATEMENT, prepare=True).fetchall()[0][0])


def _left_in(client: psycopg.Connection[Any]) -> bool:
    """Whether the server connection holds a client's statement under the client's own name.

    A pooler that knows of prepared statements gives them names of its own. What is found is
    removed, since the name may be another client's next.
    """
    names = [name for (name,) in client.execute(_LEFT, [_STATEMENT]).fetchall()]
    for name in names:
        client.execute(f'DEALLOCATE "{name}"')
    return bool(names)


@contextmanager
def _client() -> Iterator[psycopg.Connection[Any]]:
    with closing(psycopg.connect(**connection.get_connection_params(), autocommit=True)) as client:
        # As the engine's own: neither Django's cursors nor connections without a number prepare.
        client.cursor_factory, client.prepare_threshold = psycopg.Cursor, 5
        yield client

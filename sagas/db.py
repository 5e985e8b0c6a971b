"""The hot path's door to PostgreSQL: prepared statements on Django's own connection.

Django binds parameters in the client, so the server parses and plans each statement anew; for
the few statements that a step costs this is most of their price. Transactions, errors and the
connection itself stay Django's. Without ``PREPARED_STATEMENTS`` nothing stays in the session, which
a pooler in transaction mode shares with others.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import psycopg
from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from psycopg import IsolationLevel
from psycopg.rows import tuple_row

from sagas.conf import conf

P = ParamSpec("P")
T = TypeVar("T")


def execute(sql: str, params: Mapping[str, Any] | Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run one statement and give its rows (none for a statement that returns none).

    The engine's tables are found whatever the session's search path says. Outside a transaction a
    statement that met a conflict with another is repeated.

    Raises:
        django.db.Error: as any query on Django's connection would. An OperationalError after a
            conflict in a transaction has a note that says what to do.
    """
    return repeated(lambda: _execute(sql, params))


def repeated(action: Callable[[], T]) -> T:
    """Do something that is a transaction by itself, and again while it conflicts with others.

    Within a transaction it is done once: only whoever opened that can repeat it.

    Raises:
        django.db.OperationalError: it conflicts for as long as a lease.
    """
    pause, until = 0.005, 0.0
    while True:
        try:
            return action()
        except OperationalError as error:
            if not is_conflict(error):
                raise
            if _within_another():
                error.add_note(_CURE)
                raise
            until = until or time.monotonic() + conf().LEASE_SECONDS
            if time.monotonic() > until:
                raise
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, 0.5)


def transacted(action: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function to be a transaction: a part of the caller's, or else one of its own.

    One of its own is repeated while it conflicts with others, and is READ COMMITTED whatever the
    database's default is: what is read under a lock must be what the lock's last holder wrote.
    """

    @wraps(action)
    def whole(*args: P.args, **options: P.kwargs) -> T:
        def once() -> T:
            with _isolated(IsolationLevel.READ_COMMITTED), transaction.atomic():
                return action(*args, **options)

        return repeated(once)

    return whole


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction that reads all as of one moment, however many statements it takes.

    Within another transaction it is a part of that, and reads as that does.
    """
    with _isolated(IsolationLevel.REPEATABLE_READ), transaction.atomic():
        yield


@contextmanager
def _isolated(level: IsolationLevel) -> Iterator[None]:
    """The isolation of a transaction that begins inside, said with its BEGIN: no round trip."""
    connection.ensure_connection()
    if _within_another():
        yield
        return
    raw = connection.connection
    before, raw.isolation_level = raw.isolation_level, level
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # the connection is lost
            raw.isolation_level = before


def _within_another() -> bool:
    return connection.in_atomic_block or not connection.autocommit


_CURE = (
    "Another transaction came in the way of this one. Nothing is wrong with the saga: roll the "
    "transaction back in which the engine was called, and repeat all of it."
)
#: Serialization failure, deadlock, lock not available: rolled back, and worth another try.
_CONFLICTS = frozenset({"40001", "40P01", "55P03"})


def is_conflict(error: BaseException | None) -> bool:
    """Whether a transaction failed because of another one, as far as the error's causes tell."""
    for _ in range(20):
        if error is None:
            return False
        if getattr(error, "sqlstate", None) in _CONFLICTS:
            return True
        error = error.__cause__ or error.__context__
    return False


def _execute(sql: str, params: Mapping[str, Any] | Sequence[Any]) -> list[tuple[Any, ...]]:
    database = connections[DEFAULT_DB_ALIAS]  # once: the proxy looks it up for each attribute
    database.ensure_connection()
    database.validate_no_broken_transaction()
    raw = database.connection
    prepare = conf().PREPARED_STATEMENTS
    if prepare and raw.prepare_threshold is None:  # Django's "never"; its own cursors never do
        raw.prepare_threshold = 5
    text, names = _numbered(sql, _schema(raw))
    values = [params[name] for name in names] if isinstance(params, Mapping) else params
    cursor = _cursor(raw)
    with database.wrap_database_errors:
        cursor.execute(text, values, prepare=prepare)
        gave_rows = cursor.pgresult is not None and cursor.pgresult.nfields > 0
        return cursor.fetchall() if gave_rows else []


class _Kept(threading.local):
    cursor: psycopg.RawCursor[tuple[Any, ...]] | None = None


_kept = _Kept()


def _cursor(raw: psycopg.Connection[Any]) -> psycopg.RawCursor[tuple[Any, ...]]:
    """This thread's cursor: a new one would look up anew how each type is written and read."""
    cursor = _kept.cursor
    if cursor is None or cursor.connection is not raw:
        cursor = _kept.cursor = psycopg.RawCursor(raw, row_factory=tuple_row)
    return cursor


@lru_cache(maxsize=1024)
def _numbered(sql: str, schema: str) -> tuple[str, tuple[str, ...]]:
    """A statement with PostgreSQL's own placeholders, and the names of its parameters in order.

    psycopg would do it too, but anew for each execution of a statement with more than 4096
    characters or 50 parameters, and for more than all else that it does then.
    """
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        name = found[1] or f"%s {len(numbers)}"
        return f"${numbers.setdefault(name, len(numbers) + 1)}"

    return _PLACEHOLDER.sub(number, _qualified(sql, schema)), tuple(numbers)


_PLACEHOLDER = re.compile(r"%%|%\((\w+)\)s|%s")

# --- the engine's own tables, whatever a session's search path and temporary tables ---------

_schemas: dict[str, str] = {}  # where the tables are, by the alias of the database

# By the search path that the session began with, of which nothing that was set since changes a bit.
_SCHEMA = r"""
SELECT n.nspname FROM pg_catalog.pg_settings s
  CROSS JOIN regexp_split_to_table(s.reset_val, '\s*,\s*') WITH ORDINALITY AS p(name, nth)
  JOIN pg_catalog.pg_namespace n ON n.nspname
    = CASE trim(p.name, '"') WHEN '$user' THEN session_user ELSE trim(p.name, '"') END
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'sagas_run'
WHERE s.name = 'search_path' ORDER BY p.nth LIMIT 1"""


def _schema(raw: psycopg.Connection[Any]) -> str:
    """The schema of the engine's tables; asked once by a process. Empty: there are none yet."""
    known = _schemas.get(DEFAULT_DB_ALIAS)
    if known is None:
        row = psycopg.Cursor(raw, row_factory=tuple_row).execute(_SCHEMA).fetchone()
        if row is None:
            return ""
        known = _schemas[DEFAULT_DB_ALIAS] = str(row[0])
    return known


def _qualified(sql: str, schema: str) -> str:
    if not schema:
        return sql
    name = psycopg.sql.Identifier(schema).as_string().replace("%", "%%")
    return _tables().sub(lambda found: f"{name}.{found[0]}", sql)


@cache
def _tables() -> re.Pattern[str]:
    models = apps.get_app_config("sagas").get_models()
    names = "|".join(re.escape(model._meta.db_table) for model in models)
    return re.compile(rf"""(?<![\w.'"])(?:{names})\b""")

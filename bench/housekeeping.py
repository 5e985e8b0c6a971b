"""Between measurements: databases tidied alike, and one of them filled with finished runs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psycopg


def tidy(database: str) -> None:
    """Vacuum and analyze, so that no autovacuum of it runs while another system is measured."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def store(database: str, runs: int) -> None:
    """Copy a run that finished in `database`, with its steps and events, so many times."""
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "SELECT id FROM sagas_run WHERE status = 'succeeded' ORDER BY id LIMIT 1"
        ).fetchone()
        assert found is not None, "the warm-up has finished some"
        for table in ("sagas_run", "sagas_step", "sagas_event"):
            connection.execute(_copies(connection, table), {"id": found[0], "runs": runs})
    tidy(database)
    _flush(database)


#: Time-ordered like the engine's own ids, and older than all of them.
_ID = "('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"


def _copies(connection: psycopg.Connection[Any], table: str) -> str:
    """The statement that copies the rows of run `id` in a table for new runs."""
    of_run = table == "sagas_run"
    changed = {
        "id" if of_run else "run_id": _ID,
        **({"business_key": "'stored:' || n"} if of_run else {}),
    }
    names = [name for name in _columns(connection, table) if of_run or name != "id"]
    values = [changed.get(name, f't."{name}"') for name in names]
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} "
        f"FROM generate_series(1, %(runs)s) n, {table} t "
        f"WHERE t.{'id' if of_run else 'run_id'} = %(id)s ORDER BY n, t.id"
    )


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND table_name = %s ORDER BY ordinal_position",
        [table],
    )
    return [name for (name,) in rows]


def _flush(database: str) -> None:
    """Have what was stored written out now, if we may: not while others are measured."""
    with (
        psycopg.connect(database, autocommit=True) as connection,
        suppress(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("CHECKPOINT")

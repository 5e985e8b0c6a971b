"""The hot path's door to PostgreSQL behaves as any query of Django's."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import patch

import pytest
from django.db import (
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)

from sagas import db
from tests.sagas.stage import at_once

pytestmark = pytest.mark.django_db


def test_rows_come_back_and_statements_without_rows_give_none() -> None:
    assert db.execute("SELECT 1, %s::text", ["a"]) == [(1, "a")]
    assert db.execute("SELECT %(x)s::int", {"x": 5}) == [(5,)]
    assert db.execute("SELECT 1 WHERE false") == []
    assert db.execute("CREATE TEMPORARY TABLE t (x int) ON COMMIT DROP") == []
    assert db.execute("INSERT INTO t VALUES (1)") == []
    assert db.execute("INSERT INTO t VALUES (2) RETURNING x") == [(2,)]


def test_the_same_statement_is_planned_once_by_the_server() -> None:
    for number in range(3):
        db.execute("SELECT %s::int + 41", [number])
    prepared = db.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement ~ '41'")
    assert prepared[0][0] >= 1


def test_a_parameter_may_come_twice_and_a_per_cent_sign_stands_for_itself() -> None:
    sql = "SELECT %(a)s::int, %(b)s::text LIKE '%%x', %(a)s::int + 1"
    assert db.execute(sql, {"b": "box", "a": 4, "unused": 0}) == [(4, True, 5)]
    assert db.execute("SELECT %s::int, '%%', %s::int", [1, 2]) == [(1, "%", 2)]


def test_psycopg_reads_no_statement_of_the_engine_anew_each_time() -> None:
    """It keeps none of more than 4096 characters or 50 parameters, as moves of two steps are."""
    names = [f"p{number}" for number in range(60)]
    sql = f"SELECT {', '.join(f'%({name})s::int' for name in names)} /* {'x' * 4096} */"
    params = {name: number for number, name in enumerate(names)}
    with patch("psycopg._queries._split_query", side_effect=AssertionError("read again")):
        assert db.execute(sql, params) == [tuple(range(60))]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT 1/0", DataError),
        ("SELECT nonsense", ProgrammingError),
        ("INSERT INTO sagas_signal (name) VALUES (NULL)", IntegrityError),
    ],
)
def test_errors_are_djangos(sql: str, error: type[Exception]) -> None:
    with pytest.raises(error), transaction.atomic():
        db.execute(sql)
    assert db.execute("SELECT 1") == [(1,)]


def test_in_a_transaction_that_is_broken_nothing_is_run() -> None:
    with transaction.atomic():
        transaction.set_rollback(True)
        with pytest.raises(transaction.TransactionManagementError):
            db.execute("SELECT 1")
        transaction.set_rollback(False)


@pytest.mark.django_db(transaction=True)
def test_it_is_part_of_djangos_transaction() -> None:
    with transaction.atomic():
        db.execute("CREATE TABLE sagas_test_db (x int)")
        transaction.set_rollback(True)
    assert db.execute("SELECT to_regclass('sagas_test_db')") == [(None,)]


@pytest.mark.django_db(transaction=True)
def test_a_closed_connection_is_opened_again() -> None:
    connection.close()
    assert db.execute("SELECT 1") == [(1,)]


@pytest.mark.django_db(transaction=True)
def test_one_cursor_serves_a_connection_and_another_thread_has_its_own() -> None:
    """A new cursor would look up anew how each type is written and read."""
    db.execute("SELECT 1")
    mine = db._kept.cursor
    assert mine is not None
    assert db.execute("SELECT %s::uuid", ["0" * 32])[0][0].int == 0
    assert db._kept.cursor is mine
    assert at_once(lambda: (db.execute("SELECT 2"), db._kept.cursor is mine)) == [([(2,)], False)]
    connection.close()
    assert db.execute("SELECT 3") == [(3,)]
    assert db._kept.cursor is not mine


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_cut_raises_what_insist_retries() -> None:
    pid = db.execute("SELECT pg_backend_pid()")[0][0]
    at_once(lambda: db.execute("SELECT pg_terminate_backend(%s)", [pid]))
    with pytest.raises(OperationalError):
        db.execute("SELECT 1")
    connection.close()
    assert db.execute("SELECT 1") == [(1,)]


_ROOT = Path(db.__file__).parents[1]
_SOURCES = [path for name in ("sagas", "integrations") for path in (_ROOT / name).rglob("*.py")]
# Of what opens the parenthesis in which rows are locked: found once, whatever the plan.
_ONCE = re.compile(r"(\bAS( MATERIALIZED)?|=) ?$")


def _looked_for_again(source: str) -> list[str]:
    """The places that lock a limited number of rows where a join may look for them again."""
    found = []
    for lock in re.finditer(r"LIMIT [^\n]*FOR (NO KEY )?UPDATE", source):
        depth, start = 0, lock.start()
        while depth < 1 and start and not source.startswith('"""', start):
            start -= 1
            depth += {"(": 1, ")": -1}.get(source[start], 0)
        if depth == 1 and not _ONCE.search(source[:start]):
            found.append(source[start : lock.end()])
    return found


def test_rows_that_are_locked_up_to_a_limit_are_looked_for_once() -> None:
    """In a subquery that is joined, a nested loop takes more than the limit, and loses the rest."""
    assert _looked_for_again("UPDATE a FROM (SELECT 1 FROM b LIMIT 1 FOR UPDATE) x")
    assert _looked_for_again("DELETE FROM a WHERE i IN (SELECT (i) FROM a LIMIT 9 FOR UPDATE)")
    assert not _looked_for_again("WITH x AS (SELECT f(1) FROM b LIMIT 1 FOR NO KEY UPDATE)")
    locking = [path for path in _SOURCES if "FOR UPDATE" in path.read_text()]
    assert len(locking) > 3
    assert {path.name: _looked_for_again(path.read_text()) for path in locking} == {
        path.name: [] for path in locking
    }

"""How many statements and commits a run costs: counted, in sessions that nothing is timed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg

from bench import statements
from bench.session import Session

_FEW, _MANY = 20, 220

_COMMITS = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
_CLIENTS = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""


def count(
    session: Callable[[Mapping[str, str]], Session], database: str, directory: Path
) -> dict[str, float]:
    """Statements and commits per run, of its start, its steps and its end.

    PostgreSQL publishes a connection's commits at its end at the latest. So whole sessions are
    counted, one with few runs and one with many: the difference is what the further runs cost.

    `session` makes one, given what its environment needs in addition.
    """
    few, many = (_totals(session, database, directory, runs) for runs in (_FEW, _MANY))
    return {name: (many[name] - few[name]) / (_MANY - _FEW) for name in many}


def _totals(
    make: Callable[[Mapping[str, str]], Session], database: str, directory: Path, runs: int
) -> dict[str, int]:
    tally = directory / "statements"
    tally.unlink(missing_ok=True)
    before = _commits(database)
    with make({statements.VARIABLE: str(tally)}) as session:
        session.bulk(runs)
    commits = _commits(database) - before - session.questions
    return {"statements": statements.counted(tally), "commits": commits}


def _commits(database: str) -> int:
    with psycopg.connect(database, autocommit=True) as connection:
        while _number(connection, _CLIENTS):
            time.sleep(0.05)
        return _number(connection, _COMMITS)


def _number(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None, "it is an aggregate, or names one database"
    return int(row[0])

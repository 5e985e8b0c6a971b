"""A pooler that loses prepared statements is found, on a real one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connection
from django.test import override_settings

from sagas import db
from sagas.checks import check_pooler, log_unfit_pooler
from sagas.pooler import loses_prepared_statements
from tests.project.pgbouncer import pgbouncer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[1, 3])
def pooled(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """This process' connections go through a PgBouncer with that many to the server."""
    with pgbouncer(tmp_path / "pooler", os.environ["DATABASE_URL"], request.param) as pooler:
        address = urlsplit(pooler.url(connection.settings_dict["NAME"]))
        named = {"HOST": "127.0.0.1", "PORT": str(address.port), "USER": address.username}
        before = {name: connection.settings_dict[name] for name in named}
        connection.close()
        connection.settings_dict.update(named)
        yield pooler
        connection.close()
        connection.settings_dict.update(before)


def test_a_direct_connection_keeps_prepared_statements() -> None:
    assert not loses_prepared_statements()
    assert check_pooler() == []


def test_pgbouncer_in_transaction_mode_is_found_to_lose_them(
    pooled: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if knows_prepared_statements(pooled):
        assert check_pooler() == []
        return
    (found,) = check_pooler()
    assert (found.id, found.is_serious()) == ("sagas.E121", True)
    assert "SAGAS['PREPARED_STATEMENTS'] = False" in str(found.hint)
    log_unfit_pooler()
    assert "sagas.E121" in caplog.text


def test_the_check_leaves_no_statement_behind(pooled: Any) -> None:
    check_pooler()
    with override_settings(SAGAS={"PREPARED_STATEMENTS": False}):
        left = db.execute("SELECT count(*) FROM pg_prepared_statements WHERE name ~ '^_pg3'")
    assert left == [(0,)]


def test_without_prepared_statements_the_check_asks_for_plain_cursors() -> None:
    with override_settings(SAGAS={"PREPARED_STATEMENTS": False}):
        (found,) = check_pooler()
        assert found.id == "sagas.W122"
        assert "DISABLE_SERVER_SIDE_CURSORS" in str(found.hint)


def test_without_prepared_statements_none_is_left_in_the_session() -> None:
    with override_settings(SAGAS={"PREPARED_STATEMENTS": False}):
        connection.close()
        for _ in range(10):
            assert db.execute("SELECT %s::int + 43", [1]) == [(44,)]
        assert db.execute("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_a_database_that_is_away_is_no_pooler(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> bool:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr("sagas.checks.loses_prepared_statements", away)
    assert check_pooler() == []


def knows_prepared_statements(pooler: Any) -> bool:
    """Whether this PgBouncer is of 1.21 or newer, and keeps them by default (1.22.1 and newer)."""
    with psycopg.connect(pooler.url("pgbouncer"), autocommit=True, prepare_threshold=None) as admin:
        settings: dict[str, str] = dict(
            row[:2] for row in psycopg.ClientCursor(admin).execute("SHOW CONFIG")
        )
    return int(settings.get("max_prepared_statements", 0)) > 0

"""Who holds an old snapshot is named, with what ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from django.core.checks import run_checks
from django.db import OperationalError, connection
from psycopg.conninfo import make_conninfo

from sagas import checks
from sagas.run import snapshots
from sagas.run.snapshots import Watch, holders

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been held at all counts as old."""
    monkeypatch.setattr(snapshots, "OLD_SECONDS", 0.0)


@pytest.fixture
def other() -> Iterator[psycopg.Connection]:
    """Another session."""
    given = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    address = make_conninfo(**{name: given[name] for name in names if given.get(name)})
    with psycopg.connect(address, application_name="report") as session:
        yield session
        session.rollback()


def of(session: psycopg.Connection) -> list[snapshots.Holder]:
    """What is found of a session; others may run beside."""
    pid = session.info.backend_pid
    return [holder for holder in holders() if f"session {pid} " in holder.name]


def test_a_session_that_reads_in_an_old_snapshot_is_found(other: psycopg.Connection) -> None:
    other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    other.execute("SELECT 1")
    [found] = of(other)
    pid = other.info.backend_pid
    assert re.fullmatch(
        rf"session {pid} of \w+ \(report\), idle in transaction, for 0 min", str(found)
    )
    assert found.end == f"SELECT pg_terminate_backend({pid})"


def test_so_is_one_that_wrote_and_has_not_committed(other: psycopg.Connection) -> None:
    other.execute("CREATE TEMPORARY TABLE x ()")
    assert len(of(other)) == 1


def test_an_open_transaction_that_holds_no_snapshot_is_none(other: psycopg.Connection) -> None:
    other.execute("SELECT 1")
    assert of(other) == []


def test_young_ones_are_none(other: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "OLD_SECONDS", 600.0)
    other.execute("CREATE TEMPORARY TABLE x ()")
    assert of(other) == []


def test_each_is_warned_of_once(
    other: psycopg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    pid = other.info.backend_pid
    other.execute("CREATE TEMPORARY TABLE x ()")
    for _ in range(3):
        watch()
    assert len([line for line in caplog.messages if f"session {pid} " in line]) == 1
    other.rollback()
    watch()
    other.execute("CREATE TEMPORARY TABLE x ()")
    watch()
    assert len([line for line in caplog.messages if f"session {pid} " in line]) == 2


def test_the_check_at_a_deployment_names_the_session(other: psycopg.Connection) -> None:
    other.execute("CREATE TEMPORARY TABLE x ()")
    found = run_checks(tags=["sagas"], include_deployment_checks=True)
    [told] = [m for m in found if f"session {other.info.backend_pid} " in m.msg]
    assert told.id == "sagas.W117"
    assert "idle_in_transaction_session_timeout" in (told.hint or "")


def test_a_database_that_is_away_is_said_not_to_have_been_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away() -> list[snapshots.Holder]:
        raise OperationalError("no route")

    monkeypatch.setattr(checks, "holders", away)
    assert [told.id for told in checks.check_snapshots()] == ["sagas.W119"]

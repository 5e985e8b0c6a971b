"""Owner and application: the engine works as the application, which cannot change history."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection
from django.db.utils import Error as DatabaseError
from pytest_django import Settings

from sagas import db
from sagas.api import hold, lift, retry
from sagas.checks import check_audit
from sagas.define.outcome import RetryLater
from sagas.errors import SagaError
from sagas.models import AuditEntry, Run
from sagas.operate import anchor
from sagas.operate.archive import archive
from sagas.operate.asker import Shell
from sagas.operate.roles import RIGHTS, Roles, separate
from sagas.operate.verify import verify
from sagas.run import heartbeat
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.anchors import lack
from tests.sagas.operate.application import connected_as, two_users
from tests.sagas.operate.parked import WHY, delivered, stopped_past_the_pivot
from tests.sagas.stage import Actor, Known, begun, carried, lapse, status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def roles() -> Iterator[Roles]:
    with two_users() as made:
        yield made


@pytest.fixture
def application(roles: Roles) -> Iterator[Roles]:
    """The test itself is the application's user."""
    with connected_as(roles.application, roles.password or ""):
        assert db.execute("SELECT current_user::text") == [(roles.application,)]
        yield roles


def said(*words: str) -> str:
    out = io.StringIO()
    call_command("sagas", "roles", *words, stdout=out)
    return out.getvalue()


def test_the_engine_works_as_the_application(
    application: Roles, post: Post, known: Known, actor: Actor, tmp_path: Path, settings: Settings
) -> None:
    kept = tmp_path / "anchors.jsonl"
    settings.SAGAS = {**settings.SAGAS, "AUDIT_ANCHOR": str(kept)}
    saga = known(flow(actor.steps("ab"), "other"))
    heartbeat.beat()
    actor.answers = {"do a": RetryLater("busy")}
    run_id = begun(saga)
    carried(run_id, "a", saga="other/1")
    actor.answers = {}
    lapse(run_id)
    assert sweep() == 1
    delivered(post)
    assert status(run_id) == "succeeded"
    placed = hold("saga", "other", reason="pause", by=Shell())
    lift(placed.pk, reason="go on", by=Shell())
    stopped = stopped_past_the_pivot(known, actor)
    actor.answers = {}
    retry(stopped, "b", **WHY)
    delivered(post)
    assert status(stopped) == "succeeded"
    User.objects.create_user("ann").delete()
    assert [verdict for verdict in verify() if verdict.differences or verdict.unchecked] == []
    assert anchor.take() is not None
    removed = list(archive(timedelta(seconds=-1), tmp_path / "a.gz", by=Shell()))[-1].removed
    assert removed == 2
    assert not Run.objects.exists()
    assert lack(kept) == []
    assert "sagas.W133" not in {message.id for message in check_audit()}


HISTORY = ("sagas_auditentry", "sagas_event", "sagas_anchor", "django_migrations")


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE {} SET {column} = {column}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TABLE {}",
        "CREATE TRIGGER own BEFORE INSERT ON {} EXECUTE FUNCTION sagas_refuses_truncate()",
    ],
)
def test_the_application_cannot_change_history_or_what_protects_it(
    application: Roles, table: str, sql: str
) -> None:
    column = {"sagas_auditentry": "actor", "sagas_event": "data", "sagas_anchor": "line"}
    with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
        db.execute(sql.format(table, column=column.get(table, "name")))


@pytest.mark.parametrize("table", [table for table in HISTORY if table != "sagas_event"])
def test_the_application_cannot_remove_rows_of_history(application: Roles, table: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        db.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize(
    "sql",
    [
        "SET session_replication_role = replica",
        "CREATE TABLE own (x int)",
        "CREATE OR REPLACE FUNCTION sagas_audit_chain() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RETURN NEW; END'",
        "ALTER FUNCTION sagas_audit_chain() RENAME TO other",
        "SELECT setval('sagas_event_id_seq', 1)",
        "DROP SCHEMA public CASCADE",
        "ALTER ROLE CURRENT_USER SUPERUSER",
    ],
)
def test_the_application_has_no_way_round(application: Roles, sql: str) -> None:
    with pytest.raises(DatabaseError, match=r"permission denied|must be (owner|superuser)"):
        db.execute(sql)


def test_the_owner_migrates(roles: Roles) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'SET SESSION AUTHORIZATION "{roles.owner}"')
    try:
        call_command("migrate", verbosity=0)
        db.execute("CREATE TABLE made_by_owner (x int)")
        db.execute("DROP TABLE made_by_owner")
    finally:
        connection.close()


def test_every_table_of_the_engine_is_one_of_those_that_are_given_rights(roles: Roles) -> None:
    rows = db.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'sagas%%' "
        "AND pg_get_userbyid(relowner) <> %s",
        [roles.owner],
    )
    assert rows == []
    known = {table for (table,) in db.execute("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    assert set(RIGHTS) <= known


def test_to_do_it_again_changes_nothing_but_rights_that_grew(roles: Roles) -> None:
    db.execute(f'GRANT ALL ON sagas_auditentry TO "{roles.application}"')
    db.execute("GRANT UPDATE (actor) ON sagas_auditentry TO PUBLIC")
    again = separate(roles, by=Shell())
    assert not [words for words in again if words.startswith("CREATE") or "OWNER" in words]
    with (
        connected_as(roles.application, roles.password or ""),
        pytest.raises(ProgrammingError, match="permission denied"),
    ):
        db.execute("UPDATE sagas_auditentry SET actor = ''")


def test_who_separated_them_is_in_the_audit(roles: Roles) -> None:
    entry = AuditEntry.objects.get(verb="roles")
    assert entry.subject == (
        f"{roles.owner} owns the tables, {roles.application} is the application's"
    )


def test_a_dry_run_prints_the_statements_without_the_password_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APPLICATION_PASSWORD", "a secret")
    name = f"sagas_{uuid4().hex}"
    words = ("--owner", name, "--application", "other", "--password-from", "APPLICATION_PASSWORD")
    text = said(*words, "--dry-run")
    assert f'CREATE ROLE "{name}" LOGIN;' in text
    assert "ALTER ROLE \"other\" PASSWORD '***';" in text
    assert 'GRANT SELECT, INSERT ON "public"."sagas_auditentry" TO "other";' in text
    assert not db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
    data = json.loads(said(*words, "--dry-run", "--json"))
    assert (data["owner"], data["done"]) == (name, False)
    assert f"{text}" == "".join(f"{line};\n" for line in data["statements"])
    assert "secret" not in text
    assert "SCRAM" not in text


def test_users_that_cannot_be_two_are_refused(roles: Roles) -> None:
    (me,) = db.execute("SELECT session_user::text")[0]
    for owner, name, told in (
        ("one", "one", "must be two users"),
        (roles.owner, me, "Run this as another user"),
    ):
        with pytest.raises(SagaError, match=told):
            list(Roles(owner, name).statements())
    db.execute(f'GRANT "{roles.owner}" TO "{roles.application}"')
    with pytest.raises(SagaError, match="is a member of"):
        list(roles.statements())
    with pytest.raises(CommandError, match="The variable NOWHERE is not set"):
        said("--owner", "a", "--application", "b", "--password-from", "NOWHERE")

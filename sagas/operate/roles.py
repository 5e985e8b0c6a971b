"""Two database users: one that owns the tables and migrates, and one that the application is.

So whoever gets hold of the application's user can neither change history nor remove the triggers
that protect it. What it must be able to do, an anchor shows (``operate.anchor``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Composable, Identifier, Literal

from sagas import db
from sagas.errors import SagaError
from sagas.models import Anchor, AuditEntry, Event
from sagas.operate import audit

#: What the application may do with tables that are not as the others. Archives remove events.
RIGHTS = {
    AuditEntry._meta.db_table: "SELECT, INSERT",
    Anchor._meta.db_table: "SELECT, INSERT",
    Event._meta.db_table: "SELECT, INSERT, DELETE",
    MigrationRecorder.Migration._meta.db_table: "SELECT",
}
_OTHERS = "SELECT, INSERT, UPDATE, DELETE"

_ROLE = "SELECT rolsuper FROM pg_roles WHERE rolname = %s"
_MEMBER = """
SELECT pg_has_role(a.oid, o.oid, 'MEMBER') FROM pg_roles a, pg_roles o
WHERE a.rolname = %s AND o.rolname = %s"""
_ME = "SELECT session_user::text, rolsuper FROM pg_roles WHERE rolname = session_user"
_TABLES = """
SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner)
FROM unnest(%s::text[]) AS t(name) JOIN pg_class c ON c.oid = to_regclass(quote_ident(t.name))
JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 2"""
_SEQUENCES = """
SELECT n.nspname, s.relname FROM pg_class s
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class c ON c.oid = d.refobjid JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE s.relkind = 'S' AND c.oid IN (
  SELECT to_regclass(quote_ident(t.name)) FROM unnest(%s::text[]) AS t(name)) ORDER BY 1, 2"""
_FUNCTIONS = r"""
SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.proname LIKE 'sagas\_%%' AND n.nspname = ANY(%s::text[])
  AND pg_get_userbyid(p.proowner) <> %s ORDER BY 1"""
_DATABASE = """
SELECT datname, pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"""
_SCHEMA = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s"


@dataclass(frozen=True, slots=True)
class Roles:
    """The two users.

    Attributes:
        owner: owns the tables; ``application``: reads and writes rows.
        password: the application's from now on; None: as it is.
    """

    owner: str
    application: str
    password: str | None = None

    def statements(self) -> Iterator[tuple[str, str]]:
        """What brings about that they are two, and how that is told: without the password.

        Raises:
            SagaError: they are the same, or the application's is above all rights.
        """
        self._demand_two()
        for statement, told in self._composed():
            sql = statement.as_string(connection.connection)
            yield sql, sql if told is None else told.as_string(connection.connection)

    def _demand_two(self) -> None:
        if self.owner == self.application:
            raise SagaError("Owner and application must be two users.")
        me, _ = db.execute(_ME)[0]
        if self.application == me:
            raise SagaError(
                f"Run this as another user than {me!r}, which shall be the application's."
            )
        if db.execute(_ROLE, [self.application]) == [(True,)]:
            raise SagaError(
                f"{self.application!r} is a superuser, whom no right is denied. Give the "
                "application another."
            )
        if db.execute(_MEMBER, [self.application, self.owner]) == [(True,)]:
            raise SagaError(
                f"{self.application!r} is a member of {self.owner!r}, and so owns what that owns: "
                f"REVOKE {self.owner} FROM {self.application}."
            )

    def _composed(self) -> Iterator[tuple[Composable, Composable | None]]:
        owner, application = Identifier(self.owner), Identifier(self.application)
        for role in (self.owner, self.application):
            if not db.execute(_ROLE, [role]):
                yield SQL("CREATE ROLE {} LOGIN").format(Identifier(role)), None
        if self.password is not None:
            change = SQL("ALTER ROLE {} PASSWORD {}")
            told = change.format(application, SQL("'***'"))
            yield change.format(application, Literal(self._scrambled(self.password))), told
        me, is_superuser = db.execute(_ME)[0]
        if not is_superuser and me != self.owner:  # whoever gives to an owner must be it, too
            yield SQL("GRANT {} TO {}").format(owner, Identifier(me)), None
        tables = db.execute(_TABLES, [_names()])
        schemas = sorted({schema for schema, _, _ in tables})
        yield from ((statement, None) for statement in self._places(schemas))
        for schema, table, whose in tables:
            name = Identifier(schema, table)
            if whose != self.owner:
                yield SQL("ALTER TABLE {} OWNER TO {}").format(name, owner), None
            yield SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(name, application), None
            rights = SQL(RIGHTS.get(table, _OTHERS))
            yield SQL("GRANT {} ON {} TO {}").format(rights, name, application), None
        for schema, sequence in db.execute(_SEQUENCES, [_names()]):
            name = Identifier(schema, sequence)
            yield SQL("REVOKE ALL ON SEQUENCE {} FROM PUBLIC, {}").format(name, application), None
            yield SQL("GRANT USAGE, SELECT ON SEQUENCE {} TO {}").format(name, application), None
        for (function,) in db.execute(_FUNCTIONS, [schemas, self.owner]):
            signature = SQL(function)
            yield SQL("ALTER FUNCTION {} OWNER TO {}").format(signature, owner), None

    def _places(self, schemas: list[str]) -> Iterator[Composable]:
        """Who owns a schema can drop all that is in it."""
        owner, application = Identifier(self.owner), Identifier(self.application)
        database, whose = db.execute(_DATABASE)[0]
        if whose == self.application:
            yield SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(database), owner)
        yield SQL("GRANT CONNECT ON DATABASE {} TO {}").format(Identifier(database), application)
        for schema in schemas:
            name = Identifier(schema)
            if db.execute(_SCHEMA, [schema]) == [(self.application,)]:
                yield SQL("ALTER SCHEMA {} OWNER TO {}").format(name, owner)
            yield SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(name, owner)
            yield SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC, {}").format(name, application)
            yield SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, application)

    def _scrambled(self, password: str) -> str:
        """The password as the server keeps it, so that no log of statements has it."""
        raw: psycopg.Connection[object] = connection.connection
        text = raw.pgconn.encrypt_password(
            password.encode(), self.application.encode(), b"scram-sha-256"
        )
        return text.decode()


@db.transacted
def separate(roles: Roles, *, by: audit.Actor) -> list[str]:
    """Make the two users what they should be; to do it again changes nothing.

    Args:
        by: who has it done; the audit says so.

    Returns:
        the statements, without the password.
    """
    db.execute("SET LOCAL lock_timeout = '5s'")
    told = []
    for sql, words in roles.statements():
        with connection.cursor() as cursor:
            cursor.execute(sql)
        told.append(words)
    subject = f"{roles.owner} owns the tables, {roles.application} is the application's"
    audit.append(actor=by, verb="roles", reason="", subject=subject)
    return told


def _names() -> list[str]:
    """The tables of Django's models, whatever app they are of, and of its migrations."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted({*names, MigrationRecorder.Migration._meta.db_table})

"""A database whose tables one user owns, and another uses: for tests that are that other user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from django.db import connection

from sagas.operate.asker import Shell
from sagas.operate.roles import Roles, separate


@contextmanager
def two_users() -> Iterator[Roles]:
    """An owner and an application of this database, which are gone after the block."""
    end = uuid4().hex[:12]
    roles = Roles(f"sagas_owner_{end}", f"sagas_app_{end}", uuid4().hex)
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user")
        (me,) = cursor.fetchone() or ("",)
    try:
        separate(roles, by=Shell())
        yield roles
    finally:
        with connection.cursor() as cursor:
            for name in (roles.owner, roles.application):
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
                if cursor.fetchone():
                    cursor.execute(f'REASSIGN OWNED BY "{name}" TO "{me}"')
                    cursor.execute(f'DROP OWNED BY "{name}"')
                    cursor.execute(f'DROP ROLE "{name}"')


@contextmanager
def connected_as(name: str, password: str) -> Iterator[None]:
    """Django's connection is this user's within the block."""
    before = {key: connection.settings_dict[key] for key in ("USER", "PASSWORD")}
    connection.close()
    connection.settings_dict.update(USER=name, PASSWORD=password)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)

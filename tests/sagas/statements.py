"""Counting the statements that PostgreSQL gets, Django's own and the engine's prepared ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch

import psycopg
from django.apps import apps
from django.contrib.contenttypes.models import ContentType

from sagas import db


@contextmanager
def counted() -> Iterator[list[str]]:
    """Gives a list that every statement inside is added to.

    What a process asks once and then remembers is asked before: a count is the same whether its
    test runs first, alone, or after others.
    """
    with suppress(RuntimeError):  # where a test must not look at the database
        ContentType.objects.get_for_models(*apps.get_models())
        db.execute("SELECT 1")
    seen: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
        seen.append(str(query).replace('"public".', ""))  # which the engine's own name
        return execute(cursor, query, *args, **options)

    with patch.object(psycopg.Cursor, "execute", noting):
        yield seen

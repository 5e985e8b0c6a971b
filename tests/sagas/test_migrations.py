"""Migrations only expand: while they are carried out, old code goes on with the schema."""

from __future__ import annotations

import pytest
from django.db import models
from django.db.migrations.loader import MigrationLoader

#: Nothing before it was released.
FIRST = "0007_automatic_holds"
_LOADER = MigrationLoader(None)
LATER = sorted(name for app, name in _LOADER.disk_migrations if app == "sagas" and name > FIRST)

Columns = dict[tuple[str, str], "models.Field[object, object]"]


def columns(migration: str) -> Columns:
    """Every column of the engine's tables after a migration, by table and name."""
    state = _LOADER.project_state([("sagas", migration)])
    found: Columns = {}
    for model in state.apps.get_app_config("sagas").get_models():
        for field in model._meta.concrete_fields:
            found[model._meta.db_table, str(field.column)] = field
    return found


def before(migration: str) -> Columns:
    """The columns as the code of the release before knows them."""
    (dependency,) = _LOADER.disk_migrations["sagas", migration].dependencies
    return columns(dependency[1])


@pytest.mark.parametrize("migration", LATER)
def test_a_migration_takes_no_column_from_old_code_and_asks_it_for_no_new_one(
    migration: str,
) -> None:
    old, new = before(migration), columns(migration)
    assert old.keys() <= new.keys(), "removed or renamed"
    tables = {table for table, _ in old}
    demanded = [
        f"{table}.{name}"
        for (table, name), field in new.items()
        if (table, name) not in old
        and table in tables
        and not (field.null or field.has_db_default())
    ]
    assert demanded == [], "old code writes rows without these columns: they need a db_default"


@pytest.mark.parametrize("migration", LATER)
def test_a_migration_narrows_no_column(migration: str) -> None:
    new = columns(migration)
    for place, field in before(migration).items():
        assert type(new[place]) is type(field), place
        assert new[place].null or not field.null, place
        if isinstance(field, models.CharField):
            assert (new[place].max_length or 0) >= (field.max_length or 0), place


@pytest.mark.parametrize("migration", LATER)
def test_a_migration_that_changes_a_table_waits_for_it_only_for_some_seconds(
    migration: str,
) -> None:
    operations = _LOADER.disk_migrations["sagas", migration].operations
    sql = [str(getattr(operation, "sql", "")) for operation in operations]
    own = any("lock_timeout" in text for text in sql)
    made = any("Concurrently" in type(operation).__name__ for operation in operations)
    assert own or made, "SET LOCAL lock_timeout first, or an index concurrently"

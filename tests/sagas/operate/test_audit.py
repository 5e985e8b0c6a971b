"""The audit: a chain that only grows, and that shows whoever tampered with it."""

from __future__ import annotations

from functools import partial
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from sagas import db
from sagas.models import AuditEntry
from sagas.operate.audit import append, chain, problems
from tests.sagas.stage import at_once, tampering

pytestmark = pytest.mark.django_db(transaction=True)


def entries(count: int) -> None:
    for number in range(count):
        append(actor="ann", verb="retry", reason=f"ticket {number}", run=uuid4(), step="a")


def found() -> list[str]:
    return [f"{link.number}: {problem}" for link, problem in problems(chain(2)) if problem]


def test_entries_are_numbered_without_gaps_and_follow_from_each_other() -> None:
    entries(3)
    numbers = AuditEntry.objects.order_by("number").values_list("number", "previous", "hash")
    (one, _, first), (two, second_of, second), (three, third_of, _) = numbers
    assert (one, two, three) == (1, 2, 3)
    assert (second_of, third_of) == (first, second)
    assert found() == []


def test_an_entry_that_was_rolled_back_leaves_no_gap() -> None:
    entries(1)
    with transaction.atomic():
        entries(1)
        transaction.set_rollback(True)
    entries(1)
    assert [link.number for link in chain()] == [1, 2]
    assert found() == []


def test_twenty_who_append_at_once_make_one_chain() -> None:
    outcomes = at_once(*[partial(entries, 3)] * 20)
    assert outcomes == [None] * 20
    assert [link.number for link in chain(7)] == list(range(1, 61))
    assert found() == []


@pytest.mark.parametrize(
    "left",
    [
        "SET search_path = pg_catalog",
        "CREATE TEMP TABLE sagas_auditentry (number int, hash text)",
        "CREATE TEMP TABLE sagas_auditentry AS SELECT * FROM sagas_auditentry",
    ],
)
def test_an_entry_is_chained_whatever_was_done_to_the_session(left: str) -> None:
    entries(1)
    with connection.cursor() as cursor:
        cursor.execute(left)
    try:
        entries(2)
    finally:
        connection.close()
    assert [link.number for link in chain()] == [1, 2, 3]
    assert found() == []


@pytest.mark.parametrize("sql", ["UPDATE {} SET actor = 'bob'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_or_remove_an_entry(sql: str) -> None:
    entries(1)
    with pytest.raises(IntegrityError, match="cannot be changed or removed"):
        db.execute(sql.format("sagas_auditentry"))


def every_column() -> list[str]:
    kept = {"number", "previous", "hash"}
    return [f.attname for f in AuditEntry._meta.concrete_fields if f.attname not in kept]


@pytest.mark.parametrize("column", every_column())
def test_whoever_changes_any_column_of_an_entry_is_found_out(column: str) -> None:
    entries(3)
    other = {
        "at": "at + interval '1 microsecond'",
        "run": "gen_random_uuid()",
        "batch": "gen_random_uuid()",
    } | dict.fromkeys(("before", "after", "details"), "'{\"a\": 1}'")
    with tampering():
        value = other.get(column, f"{column} || 'x'")
        db.execute(f"UPDATE sagas_auditentry SET {column} = {value} WHERE number = 2")
    assert found() == ["2: it was changed after it was written"]


def test_whoever_changes_an_entry_with_its_hash_breaks_the_next_one() -> None:
    entries(3)
    with tampering():
        db.execute("UPDATE sagas_auditentry SET hash = repeat('a', 64) WHERE number = 2")
    assert found() == [
        "2: it was changed after it was written",
        "3: it does not follow from the entry before it, which was replaced",
    ]


def test_whoever_removes_entries_leaves_a_gap() -> None:
    entries(4)
    with tampering():
        db.execute("DELETE FROM sagas_auditentry WHERE number IN (2, 3)")
    assert found() == ["4: 2 entries are missing before it"]


def test_the_first_entries_cannot_be_cut_off() -> None:
    entries(2)
    with tampering():
        db.execute("DELETE FROM sagas_auditentry WHERE number = 1")
    assert found() == ["2: 1 entry is missing before it"]


def test_the_trigger_is_not_asked_whether_the_chain_is_whole() -> None:
    """Whoever may change the function that computes hashes is found out too."""
    entries(1)
    source = db.execute("SELECT prosrc FROM pg_proc WHERE proname = 'sagas_audit_chain'")[0][0]
    create = "CREATE OR REPLACE FUNCTION sagas_audit_chain() RETURNS trigger "
    create += "LANGUAGE plpgsql AS $${}$$"
    db.execute(create.format(source.replace("NEW.actor", "''")))
    try:
        entries(1)
    finally:
        db.execute(create.format(source))
    assert found() == ["2: it was changed after it was written"]


def test_odd_words_are_kept_as_they_are_or_made_fit() -> None:
    append(actor="a\x00" * 200, verb="retry", reason="‮\ud800", details={"x": "<script>"})
    entry = AuditEntry.objects.get()
    assert (len(entry.actor), "\x00" in entry.actor) == (150, False)
    assert found() == []

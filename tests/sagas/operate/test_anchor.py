"""Anchors: what audit and events were is kept outside, and whoever rewrites them is found."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from sagas import db, retire
from sagas.define.saga import Definition
from sagas.errors import SagaError
from sagas.models import Anchor, AuditEntry, Event, Run
from sagas.operate import anchor, audit
from sagas.operate.archive import archive
from sagas.operate.asker import Shell
from sagas.operate.stores import FileStore
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.anchors import lack, verified
from tests.sagas.stage import Actor, Known, at_once, begun, carried, elsewhere, tampering

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def kept(settings: Settings, tmp_path: Path) -> Path:
    """Where anchors are kept."""
    path = tmp_path / "anchors.jsonl"
    settings.SAGAS = {**settings.SAGAS, "AUDIT_ANCHOR": str(path)}
    return path


@pytest.fixture
def saga(post: Post, known: Known, actor: Actor) -> Definition:
    return known(flow(actor.steps("ab")))


def over(saga: Definition) -> UUID:
    run_id = begun(saga)
    carried(run_id, "a", "b")
    return run_id


def entries(count: int) -> None:
    for number in range(count):
        audit.append(actor="ann", verb="retry", reason=f"ticket {number}", run=uuid4())


def archived(path: Path) -> int:
    tallies = list(archive(timedelta(seconds=-1), path, by=Shell()))
    return tallies[-1].removed if tallies else 0


def test_an_anchor_says_what_audit_and_events_are(saga: Definition, kept: Path) -> None:
    entries(2)
    over(saga)
    head = anchor.take()
    assert head is not None
    newest = AuditEntry.objects.latest("number")
    last = Event.objects.latest("id")
    assert (head.number, head.entry, head.hash) == (1, 2, newest.hash)
    assert (head.up_to, head.events.count) == (last.pk, Event.objects.count())
    (line,) = FileStore(kept).read()
    assert anchor.parsed(line) == head
    assert Anchor.objects.get().line == line
    assert lack(kept) == []


def test_no_anchor_is_taken_when_nothing_was_written(saga: Definition, kept: Path) -> None:
    assert anchor.take() is None
    entries(1)
    assert anchor.take() is not None
    assert anchor.take() is None
    over(saga)
    assert anchor.take() is not None
    assert len(list(FileStore(kept).read())) == 2


def test_each_anchor_adds_only_what_is_new_and_all_of_them_hold(
    saga: Definition, kept: Path
) -> None:
    for _ in range(4):
        over(saga)
        entries(1)
        anchor.take()
    whole = anchor.EventSum().with_hashes(
        bytes(one)
        for _, one in db.execute(anchor.HASHES, {"after": 0, "up_to": 2**40, "most": 10**6})
    )
    newest = Anchor.objects.latest("number")
    head = anchor.parsed(newest.line)
    assert head is not None
    assert (newest.number, head.events) == (4, whole)
    assert lack(kept) == []


def test_many_events_are_added_part_by_part(
    saga: Definition, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchor, "_MOST", 7)
    for _ in range(3):
        over(saga)
    head = anchor.take()
    assert head is not None
    assert head.events.count == Event.objects.count() > 14
    assert Anchor.objects.count() == -(-head.events.count // 7)
    assert lack(kept) == []


# --- who rewrites the audit ----------------------------------------------------------------


def _rebuilt(keep: int) -> None:
    """The audit from some entry on written anew, as the trigger itself does it."""
    with tampering():
        db.execute("DELETE FROM sagas_auditentry WHERE number > %s", [keep])
    entries(5 - keep)


@pytest.mark.parametrize("keep", [0, 2, 4])
def test_a_chain_that_was_made_anew_is_found(kept: Path, keep: int) -> None:
    entries(5)
    anchor.take()
    _rebuilt(keep)
    assert [problem for _, problem in audit.problems(audit.chain()) if problem] == []
    assert "is another than was anchored" in lack(kept)[0]
    assert "CommandError" in verified()


def test_a_tail_that_was_cut_off_is_found(kept: Path) -> None:
    entries(5)
    anchor.take()
    with tampering():
        db.execute("DELETE FROM sagas_auditentry WHERE number > 3")
    assert lack(kept)[0].startswith("entry 5 of the audit is gone; it was anchored at ")


def test_what_was_anchored_before_a_rewriting_is_not_forgotten_by_later_anchors(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries(5)
    anchor.take()
    _rebuilt(2)
    entries(2)
    anchor.take()
    assert len(lack(kept)) == 1
    assert "The audit is not what was anchored" in caplog.text


@pytest.mark.parametrize("table", ["sagas_auditentry", "sagas_event", "sagas_anchor"])
def test_the_database_refuses_to_truncate_what_is_history(table: str) -> None:
    db.execute("SELECT set_config('sagas.emptying', 'off', false)")
    try:
        with pytest.raises(IntegrityError, match="cannot be truncated"):
            db.execute(f"TRUNCATE {table}")
    finally:
        connection.close()


def test_an_anchor_s_row_cannot_be_changed_or_removed(kept: Path) -> None:
    entries(1)
    anchor.take()
    for sql in ("UPDATE sagas_anchor SET line = ''", "DELETE FROM sagas_anchor"):
        with pytest.raises(IntegrityError, match="cannot be changed or removed"):
            db.execute(sql)


# --- who rewrites events -------------------------------------------------------------------

EVENTS = {
    "are gone": "DELETE FROM sagas_event WHERE id = (SELECT max(id) FROM sagas_event)",
    "were added since": """INSERT INTO sagas_event
        (id, run_id, at, step, direction, old, new, attempt, epoch, worker, data)
        SELECT 0, run_id, at, step, direction, old, new, attempt, epoch, worker, data
        FROM sagas_event LIMIT 1""",
    "they are not as they were written": 'UPDATE sagas_event SET data = \'{"digest": "a:b"}\'',
}


@pytest.mark.parametrize("told", EVENTS)
def test_events_that_somebody_changed_are_found(saga: Definition, kept: Path, told: str) -> None:
    over(saga)
    anchor.take()
    with tampering():
        db.execute(EVENTS[told])
    assert [told in problem for problem in lack(kept)] == [True]
    over(saga)
    anchor.take()
    assert [told in problem for problem in lack(kept)] == [True]


def test_a_difference_is_told_where_it_is(saga: Definition, kept: Path) -> None:
    heads = []
    for _ in range(3):
        over(saga)
        heads.append(anchor.take())
    first, second, _ = heads
    assert first is not None
    assert second is not None
    with tampering():
        db.execute("DELETE FROM sagas_event WHERE id = %s", [second.up_to])
    (found,) = lack(kept)
    assert f"the events {first.up_to + 1:,} to {second.up_to:,}, anchored at" in found
    assert found.endswith("1 are gone")


# --- archives ------------------------------------------------------------------------------


def test_what_an_archive_removes_is_missed_by_nobody(
    saga: Definition, kept: Path, tmp_path: Path
) -> None:
    for number in range(3):
        over(saga)
        if number:
            anchor.take()
        assert archived(tmp_path / f"{number}.gz") == 1
        assert lack(kept) == []
        begun(saga)  # which stays
    assert Run.objects.count() == 3
    anchor.take()
    assert lack(kept) == []


def test_an_anchor_that_saw_half_of_an_archived_run_is_passed_over(
    saga: Definition, kept: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        run_id = begun(saga)
        anchor.take()
        carried(run_id, "a", "b")
        anchor.take()
        assert archived(tmp_path / f"{run_id}.gz") == 1
        assert lack(kept) == []
    over(saga)
    anchor.take()
    with tampering():
        db.execute("DELETE FROM sagas_event WHERE id = (SELECT min(id) FROM sagas_event)")
    assert ["1 are gone" in problem for problem in lack(kept)] == [True]


def test_an_archive_from_before_the_first_anchor_is_counted(
    saga: Definition, kept: Path, tmp_path: Path, settings: Settings
) -> None:
    own, settings.SAGAS = settings.SAGAS, {**settings.SAGAS, "AUDIT_ANCHOR": ""}
    over(saga)
    assert archived(tmp_path / "a.gz") == 1
    assert not Anchor.objects.exists()
    settings.SAGAS = own
    over(saga)
    head = anchor.take()
    assert head is not None
    assert head.events.count == 2 * Event.objects.count()
    assert archived(tmp_path / "b.gz") == 1
    assert lack(kept) == []


def test_what_is_not_anchored_yet_is_not_archived(
    saga: Definition, kept: Path, tmp_path: Path
) -> None:
    over(saga)
    anchor.take()
    over(saga)
    with patch.object(anchor, "settled", return_value=None):  # somebody writes for long
        assert archived(tmp_path / "a.gz") == 1
    assert archived(tmp_path / "b.gz") == 1
    assert lack(kept) == []


def test_a_removal_that_no_archive_did_is_found_though_an_entry_says_so(
    saga: Definition, kept: Path
) -> None:
    """Whoever writes to the database can add an entry, but not sign what it says."""
    run_id = over(saga)
    anchor.take()
    [(revision,)] = db.execute("SELECT revision FROM sagas_run")
    removed = retire.remove({run_id: revision})
    said = {**anchor.statement(removed), "signature": "a:b"}
    audit.append(actor="ann", verb="archive", reason="", details={"events": said})
    found = lack(kept)
    assert f"{len(removed.events)} are gone" in found[-1]
    assert "Entry" in found[0] or "key that is not known" in found[0]


def test_a_statement_of_an_archive_cannot_be_used_twice(
    saga: Definition, kept: Path, tmp_path: Path
) -> None:
    over(saga)
    assert archived(tmp_path / "a.gz") == 1
    details = AuditEntry.objects.filter(details__has_key="events").get().details
    audit.append(actor="ann", verb="archive", reason="", details=details)
    assert "were added since" in lack(kept)[-1]


# --- keys and stores -----------------------------------------------------------------------


def test_a_line_that_somebody_wrote_is_found(kept: Path) -> None:
    entries(1)
    anchor.take()
    line = json.loads(kept.read_text())
    line["head"]["entry"] = 0
    kept.write_text(kept.read_text() + json.dumps(line) + "\n")
    assert lack(kept) == ["An anchor was forged: its signature is not that of our key."]


def test_a_new_key_goes_on_where_the_former_one_ended(
    saga: Definition, kept: Path, settings: Settings
) -> None:
    over(saga)
    anchor.take()
    former, settings.SECRET_KEY = settings.SECRET_KEY, "new" * 20
    settings.SECRET_KEY_FALLBACKS = [former]
    over(saga)
    head = anchor.take()
    assert head is not None
    assert head.number == 2
    assert lack(kept) == []
    settings.SECRET_KEY_FALLBACKS = []
    (problem,) = lack(kept)
    assert "AUDIT_KEY_FALLBACKS" in problem


def test_a_row_that_somebody_added_is_no_base_for_the_next_anchor(
    saga: Definition, kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    over(saga)
    anchor.take()
    first = Anchor.objects.get()
    over(saga)
    anchor.take()
    Anchor.objects.create(number=9, at=first.at, line=first.line)  # signed, but not the ninth
    over(saga)
    head = anchor.take()
    assert head is not None
    assert (head.number, head.events.count) == (10, Event.objects.count())
    assert "Row 9 of sagas_anchor is passed over" in caplog.text
    assert lack(kept) == []


def test_a_row_that_somebody_added_does_not_keep_anchors_from_being_taken(kept: Path) -> None:
    entries(1)
    anchor.take()
    assert not anchor.is_due()
    db.execute(
        "INSERT INTO sagas_anchor SELECT 7, now() + interval '9 years', line FROM sagas_anchor"
    )
    with tampering():
        db.execute("DELETE FROM sagas_anchor WHERE number = 1")
    assert anchor.is_due()


class Broken:
    """A store that takes nothing."""

    def append(self, line: str) -> None:
        raise TimeoutError("the bucket does not answer")

    def read(self) -> list[str]:
        return []


def test_what_no_store_has_taken_is_exported_by_the_next_anchor(
    kept: Path, settings: Settings
) -> None:
    entries(1)
    own = settings.SAGAS
    settings.SAGAS = {**own, "AUDIT_ANCHOR": f"{__name__}.Broken"}
    with pytest.raises(SagaError, match=r"could not be written.*does not answer"):
        anchor.take()
    assert not Anchor.objects.exists()
    settings.SAGAS = own
    head = anchor.take()
    assert head is not None
    assert (head.number, head.entry) == (1, 1)


# --- writers meanwhile ---------------------------------------------------------------------


def test_an_event_that_becomes_visible_late_is_in_the_next_anchor(
    saga: Definition, kept: Path
) -> None:
    """Ids are drawn in one order and become visible in another."""
    written, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        with transaction.atomic():
            begun(saga)
            written.set()
            assert go_on.wait(30)

    def anchoring() -> Any:
        assert written.wait(30)
        over(saga)
        try:
            return anchor.take(patience=0.2), anchor.settled(0.2)
        finally:
            go_on.set()

    failed, (head, bound) = at_once(lambda: elsewhere(slowly), lambda: elsewhere(anchoring))
    assert failed is None
    assert (head, bound) == (None, None)
    anchor.take()
    assert lack(kept) == []


def test_anchors_taken_while_others_write_and_archive_hold(
    saga: Definition, kept: Path, tmp_path: Path
) -> None:
    done = threading.Event()

    def writing() -> None:
        try:
            for _ in range(15):
                over(saga)
                entries(1)
        finally:
            done.set()

    def anchoring() -> int:
        count = 0
        while not done.is_set():
            anchor.take()
            assert lack(kept) == []
            count += 1
        return count

    def archiving() -> int:
        count = removed = 0
        while not done.is_set():
            removed += archived(tmp_path / f"{count}.gz")
            count += 1
        return removed

    outcomes = at_once(*(lambda a=a: elsewhere(a) for a in (writing, anchoring, archiving)))
    failed, anchored, removed = outcomes
    assert failed is None
    assert anchored > 0
    assert removed > 0
    assert lack(kept) == []

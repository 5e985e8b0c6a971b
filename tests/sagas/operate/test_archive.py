"""Archive: into the file and onto the disk first, out of the database after that."""

from __future__ import annotations

import gzip
import json
import os
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.utils import timezone

from sagas import db, retire
from sagas.define.outcome import Refused
from sagas.define.saga import Definition
from sagas.define.step import wait_for
from sagas.errors import SagaError
from sagas.models import AuditEntry, Event, Run, Signal, Step
from sagas.operate import archive as module
from sagas.operate import audit
from sagas.operate.archive import archive, eligible
from sagas.operate.asker import Shell
from sagas.operate.signal import send_signal
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import Actor, Known, at_once, begun, carried, elsewhere, status, told
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture
def saga(known: Known, actor: Actor) -> Definition:
    return known(flow(actor.steps("ab")))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl.gz"


def finished(saga: Definition, ago: timedelta = 2 * DAY, **options: Any) -> UUID:
    """A run that went as far as it goes, some time ago."""
    run_id = begun(saga, **options)
    carried(run_id, "a")
    Run.objects.filter(pk=run_id).update(finished_at=timezone.now() - ago)
    return run_id


def archived(path: Path, older: timedelta = DAY, batch: int = 100) -> int:
    """How many runs were removed."""
    tallies = list(archive(older, path, batch, by=Shell()))
    return tallies[-1].removed if tallies else 0


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ids(path: Path) -> list[UUID]:
    return [UUID(line["run"]["id"]) for line in lines(path)]


def test_a_line_holds_the_run_its_steps_events_and_signals(
    known: Known, actor: Actor, path: Path
) -> None:
    wait = wait_for("paid", timeout=timedelta(hours=1))
    saga = known(flow([*actor.steps("a"), wait]))
    actor.answers["do a"] = {"text": "é\n\u2028"}
    send_signal("paid", "order:1", {"by": "Ada"}, deduplication_id="7")
    run_id = finished(saga, key="order:1", payload=Payload(number=7))
    run = Run.objects.values().get(pk=run_id)
    steps = list(Step.objects.filter(run=run_id).order_by("position").values())
    events = list(Event.objects.filter(run=run_id).values())
    assert archived(path) == 1
    [line] = lines(path)
    assert line.keys() == {"format", "run", "steps", "events", "originals", "signals"}
    assert line["format"] == 1
    assert line["run"].keys() == run.keys()
    assert (line["run"]["business_key"], line["run"]["payload"]["number"]) == ("order:1", 7)
    assert line["run"]["finished_at"].endswith("+00:00")
    assert [step.keys() for step in line["steps"]] == [step.keys() for step in steps]
    assert [step["result"] for step in line["steps"]] == [{"text": "é\n\u2028"}, {"by": "Ada"}]
    assert [event["id"] for event in line["events"]] == [event["id"] for event in events]
    assert [event["new"] for event in line["events"]] == [event["new"] for event in events]
    [signal] = line["signals"]
    assert (signal["deduplication_id"], signal["payload"]) == ("7", {"by": "Ada"})
    assert not Signal.objects.exists()


def test_only_what_has_long_been_over_is_archived(
    saga: Definition, actor: Actor, path: Path
) -> None:
    old = [finished(saga)]
    actor.answers["do b"] = Refused("no")
    old.append(finished(saga))
    young, unfinished = finished(saga, timedelta(hours=23)), begun(saga)
    assert [status(run_id) for run_id in old] == ["succeeded", "compensated"]
    assert eligible(DAY) == 2
    assert archived(path) == 2
    assert ids(path) == old
    assert set(Run.objects.values_list("id", flat=True)) == {young, unfinished}
    assert eligible(DAY) == 0


def test_without_anything_to_archive_no_file_is_made(saga: Definition, path: Path) -> None:
    begun(saga)
    assert archived(path) == 0
    assert not path.exists()


def test_a_file_that_exists_is_neither_overwritten_nor_added_to(
    saga: Definition, path: Path
) -> None:
    run_id = finished(saga)
    path.write_bytes(b"kept")
    with pytest.raises(SagaError, match="exists"):
        archived(path)
    with pytest.raises(SagaError, match="There is no directory"):
        archived(path / "below" / "it")
    assert path.read_bytes() == b"kept"
    assert status(run_id) == "succeeded"


def test_a_file_that_somebody_made_a_moment_ago_is_not_overwritten_either(
    saga: Definition, path: Path
) -> None:
    finished(saga)
    path.write_bytes(b"kept")
    with patch.object(Path, "exists", return_value=False), pytest.raises(SagaError, match="exists"):
        archived(path)
    assert path.read_bytes() == b"kept"
    assert Run.objects.exists()


def test_the_file_is_for_its_owner_only(saga: Definition, path: Path) -> None:
    finished(saga)
    archived(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_runs_go_in_batches_of_a_statement_to_read_and_three_to_remove(
    saga: Definition, path: Path
) -> None:
    runs = [finished(saga) for _ in range(5)]
    with counted() as statements:
        assert archived(path, batch=2) == 5
    reads = [text for text in statements if "jsonb_build_object" in text]
    removals = [text for text in statements if "DELETE FROM sagas_run" in text]
    assert (len(reads), len(removals)) == (4, 3)
    assert ids(path) == sorted(runs)


# --- crashes -------------------------------------------------------------------------------


def test_a_batch_is_on_the_disk_before_it_is_removed(saga: Definition, path: Path) -> None:
    for _ in range(3):
        finished(saga)
    order: list[str] = []
    fsync, remove = os.fsync, retire.remove

    def noting_fsync(number: int) -> None:
        if stat.S_ISREG(os.fstat(number).st_mode):
            order.append("on disk")
        fsync(number)

    def noting_remove(revisions: dict[UUID, int], up_to: int | None) -> retire.Removed:
        order.append("removed")
        assert set(ids(path)) >= set(revisions)
        return remove(revisions, up_to)

    with patch.object(os, "fsync", noting_fsync), patch.object(retire, "remove", noting_remove):
        archived(path, batch=2)
    assert order == ["on disk", "removed"] * 2


def test_a_crash_between_export_and_removal_loses_nothing(saga: Definition, path: Path) -> None:
    runs = [finished(saga) for _ in range(4)]
    calls: list[int] = []
    remove = retire.remove

    def dying(revisions: dict[UUID, int], up_to: int | None) -> retire.Removed:
        calls.append(len(revisions))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return remove(revisions, up_to)

    with patch.object(retire, "remove", dying), pytest.raises(KeyboardInterrupt):
        archived(path, batch=2)
    assert ids(path) == runs
    assert list(Run.objects.order_by("id").values_list("id", flat=True)) == runs[2:]
    again = path.with_name("again.jsonl.gz")
    assert archived(again) == 2
    assert ids(again) == runs[2:]


def test_a_disk_that_is_full_ends_the_archive_with_a_whole_file(
    saga: Definition, path: Path
) -> None:
    runs = [finished(saga) for _ in range(4)]
    fsync = os.fsync
    calls: list[int] = []

    def full(number: int) -> None:
        if stat.S_ISREG(os.fstat(number).st_mode):
            calls.append(number)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        fsync(number)

    with patch.object(os, "fsync", full), pytest.raises(SagaError, match="No space left") as error:
        archived(path, batch=2)
    assert "No run that it lacks was removed" in str(error.value)
    assert ids(path) == runs[:2]
    assert list(Run.objects.order_by("id").values_list("id", flat=True)) == runs[2:]


def test_a_disk_that_was_full_from_the_start_leaves_no_file(saga: Definition, path: Path) -> None:
    finished(saga)
    failing = patch.object(module._File, "_appended", side_effect=OSError(28, "No space left"))
    with failing, pytest.raises(SagaError, match="No space left"):
        archived(path)
    assert not path.exists()
    assert archived(path) == 1


def test_a_late_answer_between_export_and_removal_keeps_the_run(
    saga: Definition, path: Path
) -> None:
    late, other = finished(saga), finished(saga)
    add = module._File.add

    def answered(file: module._File, text: str) -> int:
        Run.objects.filter(pk=late).update(revision=99)  # as an event with it would
        return add(file, text)

    with patch.object(module._File, "add", answered):
        [tally] = archive(DAY, path, by=Shell())
    assert (tally.exported, tally.removed, tally.size) == (2, 1, path.stat().st_size)
    assert ids(path) == [late, other]
    assert [run.id for run in Run.objects.all()] == [late]


# --- under load ----------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_runs_are_started_and_finished_while_others_are_archived(
    saga: Definition, actor: Actor, path: Path
) -> None:
    old = {finished(saga) for _ in range(40)}

    def load() -> list[UUID]:
        started = [begun(saga) for _ in range(40)]
        for run_id in started:
            carried(run_id, "a")
        return started

    started, removed = at_once(
        lambda: elsewhere(load), lambda: elsewhere(lambda: archived(path, batch=3))
    )
    assert removed == 40
    assert set(ids(path)) == old
    assert {status(run_id) for run_id in started} == {"succeeded"}
    assert [told(run_id).problems for run_id in started] == [[]] * 40
    assert Run.objects.count() == 40
    assert not db.execute("SELECT 1 FROM sagas_event WHERE run_id = ANY(%s)", [list(old)])


@pytest.mark.django_db(transaction=True)
def test_what_is_archived_frees_its_key(saga: Definition, path: Path) -> None:
    first = finished(saga, key="order:1")
    assert begun(saga, key="order:1") == first
    archived(path)
    assert begun(saga, key="order:1") != first


def test_a_file_that_was_cut_off_is_good_up_to_its_last_whole_batch(
    saga: Definition, path: Path
) -> None:
    run_id = finished(saga)
    archived(path)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    read: list[dict[str, Any]] = []
    with gzip.open(path, "rt", encoding="utf-8") as file, pytest.raises(EOFError):
        read.extend(json.loads(line) for line in file)
    assert [line["run"]["id"] for line in read] == [str(run_id)]


def test_who_archives_is_in_the_audit_before_anything_is_written(
    saga: Definition, path: Path
) -> None:
    runs = sorted(finished(saga, key=f"k{n}") for n in range(3))
    archived(path, batch=2)
    begun_, first, second = AuditEntry.objects.filter(verb="archive").order_by("number")
    assert begun_.subject == f"runs over for 1 day, 0:00:00 into {path}"
    assert begun_.actor == Shell().get_username()
    assert (first.details["runs"], second.details["runs"]) == (2, 1)
    assert (first.details["first"], second.details["last"]) == (str(runs[0]), str(runs[2]))


def test_what_cannot_be_noted_is_neither_written_nor_removed(
    saga: Definition, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(saga)

    def full(**entry: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "append", full)
    with pytest.raises(OSError, match="full"):
        archived(path)
    assert Run.objects.count() == 1
    assert not path.exists()

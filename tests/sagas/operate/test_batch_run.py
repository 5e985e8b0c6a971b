"""A batch that runs: each item once, whoever dies, comes twice, or changes their mind."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection, transaction
from django.test import override_settings

from sagas import db
from sagas.models import Approval, AuditEntry, Batch, BatchStatus, Run
from sagas.operate import batch_run
from sagas.operate.batch_run import hand_on, resend_lapsed, work
from sagas.operate.bulk import confirm, draft, stop
from sagas.operate.catalogue import carry_out
from sagas.operate.instruction import instruction
from sagas.operate.resolve import resolve
from sagas.run import drain
from sagas.run.publishing import breaker
from sagas.testing.post import Post
from tests.sagas.operate.batches import drafted, found, operator, ready, saga_of, stopped
from tests.sagas.stage import Actor, Known, at_once, elsewhere, status
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("post")]


class Crash(BaseException):
    """Ends a slice as a lost process would: nothing of ours catches it."""


@pytest.fixture
def ann() -> User:
    return operator()


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture
def ids(known: Known, actor: Actor) -> list[UUID]:
    """Six runs that need a person."""
    return stopped(saga_of(known, actor), 6)


def running(by: User) -> Batch:
    batch = drafted(by)
    return confirm(batch.pk, by)


def retries(ids: list[UUID]) -> list[int]:
    """How often each run was retried."""
    audited = Counter(AuditEntry.objects.filter(verb="retry").values_list("run", flat=True))
    return [audited[run_id] for run_id in ids]


def lapse(batch: Batch) -> None:
    db.execute(
        "UPDATE sagas_batch SET lease_until = clock_timestamp() - interval '1 second' "
        "WHERE id = %s",
        [batch.pk],
    )


def again(batch: Batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


# --- what it does --------------------------------------------------------------------------


def test_every_item_is_done_once_with_the_operators_name_and_reason(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)
    result = work(batch.pk, "task")
    assert (result["status"], result["accepted"], result["ready"]) == ("finished", 6, 0)
    assert {status(run_id) for run_id in ids} == {"running"}
    assert retries(ids) == [1] * 6
    entry = AuditEntry.objects.filter(verb="retry").earliest("number")
    assert (entry.actor, entry.reason, entry.batch) == ("ann", "restocked", batch.pk)
    item = batch.items.earliest("id")
    assert (item.status, item.detail, item.at is None) == ("done", "", False)
    ended = again(batch)
    assert (ended.status, ended.task_id, ended.lease_until) == ("done", "task", None)
    assert ended.finished_at is not None


def test_a_verb_that_does_not_fit_any_more_is_refused_and_the_rest_go_on(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)
    resolve(ids[2], by=ann, reason="by hand")
    assert work(batch.pk, "task")["status"] == "finished"
    assert list(found(batch).values()) == ["done"] * 2 + ["refused"] + ["done"] * 3
    assert batch.items.get(run=ids[2]).detail.startswith("The run is resolved; only")
    assert status(ids[2]) == "resolved"


def test_the_step_is_the_one_of_the_trial_even_if_another_has_stopped_the_run_since(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)
    batch.items.filter(run=ids[0]).update(step="c")
    work(batch.pk, "task")
    item = batch.items.get(run=ids[0])
    assert (item.status, "Step 'c' is pending" in item.detail) == ("refused", True)


def test_what_breaks_at_one_run_changes_nothing_there_and_the_rest_go_on(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)
    real = carry_out

    def breaking(run_id: UUID, *args: Any, **options: Any) -> Any:
        answer = real(run_id, *args, **options)
        if run_id == ids[1]:
            raise ZeroDivisionError("secret")
        return answer

    with patch.object(batch_run, "carry_out", breaking):
        assert work(batch.pk, "task")["failed"] == 1
    item = batch.items.get(run=ids[1])
    assert (item.status, item.detail) == ("failed", "ZeroDivisionError")
    assert status(ids[1]) == "needs_attention"
    assert retries(ids) == [1, 0, 1, 1, 1, 1]


def test_a_verb_that_breaks_in_the_database_is_undone_alone(ids: list[UUID], ann: User) -> None:
    batch = running(ann)

    def breaking(run_id: UUID, *args: Any, **options: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1/0")

    with patch.object(batch_run, "carry_out", breaking):
        assert work(batch.pk, "task")["failed"] == 6
    assert {item.detail for item in batch.items.all()} == {"DataError"}


def test_where_a_second_person_must_consent_they_are_asked(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    with override_settings(SAGAS={"FOUR_EYES": {"*": ["retry"]}}):
        assert work(batch.pk, "task")["asked"] == 6
    assert Approval.objects.filter(status="open", asked_by="ann").count() == 6
    assert {status(run_id) for run_id in ids} == {"needs_attention"}


def test_who_loses_the_right_midway_does_nothing_more(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    work(batch.pk, "task", seconds=0)
    ann.user_permissions.remove(Permission.objects.get(codename="change_run"))
    result = work(batch.pk, "task")
    assert (result["accepted"], result["refused"]) == (1, 5)
    assert "sagas.change_run" in batch.items.latest("id").detail
    assert retries(ids) == [1, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("gone", ["add_batch", "left"])
def test_who_may_make_no_batches_any_more_or_has_left_does_nothing(
    ids: list[UUID], ann: User, gone: str
) -> None:
    batch = running(ann)
    if gone == "left":
        User.objects.filter(pk=ann.pk).update(is_active=False)
    else:
        ann.user_permissions.remove(Permission.objects.get(codename=gone))
    assert work(batch.pk, "task")["refused"] == 6
    assert retries(ids) == [0] * 6


def test_a_verb_with_arguments_is_carried_out_with_them(ids: list[UUID], ann: User) -> None:
    told = instruction("assign", {"owner": "ann"})
    batch = confirm(draft(Run.objects.all(), told, by=ann, reason="mine", rate=200).pk, ann)
    work(batch.pk, "task")
    assert set(Run.objects.values_list("owner", flat=True)) == {"ann"}


# --- slices --------------------------------------------------------------------------------


def test_a_slice_ends_in_time_and_sends_the_next(ids: list[UUID], ann: User, post: Post) -> None:
    batch = running(ann)
    sent = post.count()
    assert work(batch.pk, "one", seconds=0)["status"] == "running"
    assert ready(batch) == 5
    assert again(batch).task_id == "", "any message may take it"
    assert work(batch.pk, "two", seconds=0)["accepted"] == 2
    assert post.count() == sent + 2 + 2  # two slices, and a message for each of two runs


def test_it_does_no_more_items_in_a_second_than_its_rate_says(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    Batch.objects.filter(pk=batch.pk).update(rate=4)
    slept, real = [0.0], time.monotonic
    began = real()
    with (
        patch.object(time, "sleep", slept.append),
        patch.object(time, "monotonic", lambda: real() + sum(slept)),
    ):
        work(batch.pk, "task")
    assert len(slept) == 1 + len(ids)
    assert real() - began + sum(slept) >= len(ids) / 4
    assert max(slept) <= 1 / 4, "what an item took is not waited for once more"


def test_a_worker_that_shuts_down_hands_the_batch_on(
    ids: list[UUID], ann: User, post: Post
) -> None:
    batch = running(ann)
    sent = post.count()
    drain.drain()
    try:
        work(batch.pk, "task")
    finally:
        drain.reopen()
    assert (ready(batch), again(batch).task_id) == (5, "")
    assert post.count() == sent + 2


def test_its_lease_is_renewed_while_it_works(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    with override_settings(SAGAS={"LEASE_SECONDS": 0.001}), counted() as statements:
        work(batch.pk, "task")
    renewal = batch_run._RENEW.split("%")[0]
    assert sum(statement.startswith(renewal) for statement in statements) >= 5


# --- deaths and doubles --------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["_ANSWER", "before the commit"])
def test_a_crash_within_an_item_undoes_its_verb_and_another_slice_does_it_once(
    ids: list[UUID], ann: User, moment: str
) -> None:
    batch = running(ann)
    real, answers = db.execute, 0

    def crashing(sql: str, params: Any = ()) -> Any:
        nonlocal answers
        answers += sql == batch_run._ANSWER
        if sql == batch_run._ANSWER and answers == 3:
            if moment != "_ANSWER":
                real(sql, params)
            raise Crash
        return real(sql, params)

    with patch.object(db, "execute", crashing), pytest.raises(Crash):
        work(batch.pk, "one")
    assert ready(batch) == 4
    assert retries(ids) == [1, 1, 0, 0, 0, 0]
    assert work(batch.pk, "two")["status"] == "running", "its lease is not over yet"
    assert ready(batch) == 4
    lapse(batch)
    assert work(batch.pk, "two")["status"] == "finished"
    assert retries(ids) == [1] * 6


def test_a_batch_whose_lease_is_over_is_sent_again_once(
    ids: list[UUID], ann: User, post: Post
) -> None:
    batch = running(ann)
    post.drop_all()
    assert resend_lapsed() == 0
    lapse(batch)
    assert (resend_lapsed(), resend_lapsed()) == (1, 0)
    while post.deliver():
        pass
    assert again(batch).status == BatchStatus.DONE
    assert retries(ids) == [1] * 6


def test_drafts_and_what_is_over_are_not_sent_again(ids: list[UUID], ann: User) -> None:
    draft_only, ended, halted = drafted(ann), running(ann), running(ann)
    stop(halted.pk, ann)
    work(ended.pk, "task")
    for batch in (draft_only, ended, halted):
        lapse(batch)
    assert resend_lapsed() == 0


def test_at_rest_looking_for_lapsed_batches_is_one_statement_that_uses_its_index() -> None:
    connection.ensure_connection()
    with counted() as statements:
        resend_lapsed()
    assert len(statements) == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sagas_batch (id, verb, arguments, reason, query, matched, rate, status, "
            "created_by, created_at, stopped_by, task_id, lease_until) SELECT gen_random_uuid(), "
            "'retry', '{}', '', '', 0, 1, 'done', 'ann', now(), '', '', now() "
            "FROM generate_series(1, 3000)"
        )
        cursor.execute("ANALYZE sagas_batch")
        params: dict[str, Any] = {"lease": 60, "poison": 5, "died": "it died"}
        cursor.execute("EXPLAIN " + batch_run._LAPSED, params)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "sagas_batch_running" in plan


def test_a_message_that_comes_twice_at_once_does_each_item_once(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    slices = [lambda: elsewhere(lambda: work(batch.pk, "same"))] * 2
    at_once(*slices)
    assert retries(ids) == [1] * 6
    assert again(batch).status == BatchStatus.DONE


def test_an_item_that_another_slice_has_at_this_moment_is_left_to_it(
    ids: list[UUID], ann: User
) -> None:
    """Two real transactions: the first holds its item while the second does all the others."""
    batch = running(ann)
    db.execute("UPDATE sagas_batch SET task_id = 'same' WHERE id = %s", [batch.pk])
    with transaction.atomic():
        params = {"id": batch.pk, "task": "same"}
        ((held, *_),) = db.execute(batch_run._NEXT, params)
        thread = threading.Thread(target=lambda: elsewhere(lambda: work(batch.pk, "same")))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert list(batch.items.filter(status="ready").values_list("pk", flat=True)) == [held]
        assert again(batch).status == BatchStatus.RUNNING, "one item has no answer yet"
    assert work(batch.pk, "same")["status"] == "finished"
    assert retries(ids) == [1] * 6


def test_a_slice_that_lost_its_batch_to_another_does_nothing_more(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)

    def frozen(seconds: float) -> None:
        with patch.object(time, "sleep"):
            lapse(batch)
            work(batch.pk, "new", seconds=0)
            db.execute("UPDATE sagas_batch SET task_id = 'newer' WHERE id = %s", [batch.pk])

    with patch.object(time, "sleep", frozen):
        work(batch.pk, "old")
    assert (ready(batch), again(batch).task_id) == (4, "newer")
    assert not hand_on(batch.pk, "old")


def test_a_stop_comes_through_between_two_items(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    with patch.object(time, "sleep", lambda _: stop(batch.pk, ann)):
        assert work(batch.pk, "task")["status"] == "stopped"
    assert (ready(batch), sum(retries(ids))) == (5, 1)


def test_when_the_database_goes_away_the_task_ends_and_the_batch_comes_back(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)
    real, lost = carry_out, [ids[2]]

    def losing(run_id: UUID, *args: Any, **options: Any) -> Any:
        if run_id in lost:
            lost.clear()
            connection.connection.close()
        return real(run_id, *args, **options)

    with patch.object(batch_run, "carry_out", losing), pytest.raises(OperationalError):
        work(batch.pk, "one")
    connection.close()
    assert ready(batch) == 4
    lapse(batch)
    work(batch.pk, "two")
    assert retries(ids) == [1] * 6


def test_a_broker_that_is_away_leaves_the_batch_to_the_sweep(ids: list[UUID], ann: User) -> None:
    batch = drafted(ann)
    with patch("celery.canvas.Signature.apply_async", side_effect=ConnectionError):
        confirm(batch.pk, ann)
        lapse(batch)
        assert resend_lapsed() == 0
    assert again(batch).status == BatchStatus.RUNNING
    breaker.reset()  # by then some seconds have passed
    lapse(batch)
    assert resend_lapsed() == 1


def test_a_batch_that_is_gone_is_no_reason_to_fail(ann: User) -> None:
    assert work(UUID(int=1), "task") == {"status": "gone"}


@override_settings(SAGAS={"POISON_ATTEMPTS": 3})
def test_a_run_at_which_every_process_dies_is_passed_over_and_the_rest_go_on(
    ids: list[UUID], ann: User
) -> None:
    batch = running(ann)

    def dies(run_id: UUID, *how: Any, **options: Any) -> Any:
        if run_id == ids[1]:
            raise Crash
        return carry_out(run_id, *how, **options)

    with patch.object(batch_run, "carry_out", dies):
        for number in range(3):
            with pytest.raises(Crash):
                work(batch.pk, f"task-{number}")
            lapse(batch)
            assert resend_lapsed() == 1
        work(batch.pk, "the last")
    assert retries(ids) == [1, 0, 1, 1, 1, 1]
    item = batch.items.get(run=ids[1])
    assert (item.status, item.detail) == (
        "failed",
        "The process that carried it out died, 3 times.",
    )
    batch.refresh_from_db()
    assert batch.status == BatchStatus.DONE


def test_a_batch_that_nobody_had_yet_blames_no_run(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    for _ in range(7):
        lapse(batch)
        assert resend_lapsed() == 1
    assert not batch.items.exclude(losses=0).exists()


def test_who_was_only_frozen_at_a_run_is_not_waited_for(ids: list[UUID], ann: User) -> None:
    batch = running(ann)
    db.execute("UPDATE sagas_batch SET task_id = 'frozen' WHERE id = %s", [batch.pk])
    lapse(batch)
    with transaction.atomic():
        db.execute("SELECT 1 FROM sagas_batchitem ORDER BY id LIMIT 1 FOR UPDATE")
        assert at_once(resend_lapsed) == [1]

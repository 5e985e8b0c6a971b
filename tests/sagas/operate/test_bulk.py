"""A batch before it runs: the trial, the word that starts it, and the one that stops it."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import F
from django.test import override_settings

from sagas.define.outcome import Refused
from sagas.define.view import RunView
from sagas.errors import SagaError, VerbRefused
from sagas.models import AuditEntry, Batch, BatchStatus, Event, ItemStatus, Run, Scope
from sagas.operate.access import Right
from sagas.operate.batch_run import work
from sagas.operate.bulk import confirm, discard, draft, stop, visible_batches
from sagas.operate.instruction import Instruction, instruction
from sagas.operate.retry import retry
from sagas.operate.tally import tally
from sagas.operate.verb import Verb
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.batches import RETRY, drafted, found, operator, saga_of, stopped
from tests.sagas.operate.parked import stopped_undoing
from tests.sagas.stage import Actor, Known, begun, carried, status
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("post")]


@pytest.fixture
def ann() -> User:
    return operator()


@pytest.fixture
def actor() -> Actor:
    return Actor()


# --- the trial -----------------------------------------------------------------------------


def test_a_trial_says_what_fits_and_why_the_rest_does_not_and_does_nothing(
    known: Known, actor: Actor, ann: User
) -> None:
    saga = saga_of(known, actor)
    stopped(saga, 2)
    waiting = begun(saga, key="flow:new")
    events = Event.objects.count()
    batch = drafted(ann, query="all")
    assert (batch.status, batch.matched, batch.verb) == ("draft", 3, "retry")
    assert found(batch) == {"flow:0": "ready", "flow:1": "ready", "flow:new": "unfit"}
    assert batch.items.get(run=waiting).detail == "The run is pending; no step has stopped it."
    assert set(batch.items.filter(status="ready").values_list("step", flat=True)) == {"b"}
    assert Event.objects.count() == events
    assert not AuditEntry.objects.exists()


def test_reasons_are_the_same_for_all_runs_that_have_them(
    known: Known, actor: Actor, ann: User
) -> None:
    saga = saga_of(known, actor)
    for number in range(5):
        begun(saga, key=f"new:{number}")
    (reason,) = tally(drafted(ann)).reasons
    assert (reason.count, reason.status) == (5, "unfit")
    assert reason.examples == ["new:0", "new:1", "new:2"]


def test_no_more_runs_are_taken_than_the_limit_and_the_oldest_first(
    known: Known, actor: Actor, ann: User
) -> None:
    stopped(saga_of(known, actor), 4)
    with override_settings(SAGAS={"BATCH_LIMIT": 2}):
        batch = drafted(ann)
    assert list(found(batch)) == ["flow:0", "flow:1"]
    assert batch.matched == 3, "which says that there are more"


@pytest.mark.parametrize(
    "told", [RETRY, instruction("assign", {"owner": "ann"}), instruction("cancel", {})]
)
def test_a_trial_of_many_runs_takes_no_more_statements_than_one_of_few(
    known: Known, actor: Actor, ann: User, told: Instruction
) -> None:
    saga = saga_of(known, actor)
    stopped(saga, 1)

    def tried() -> None:
        draft(Run.objects.all(), told, by=User.objects.get(pk=ann.pk), reason="r")

    with counted() as few:
        tried()
    for number in range(30):
        begun(saga, key=f"new:{number}")
    with counted() as many:
        tried()
    assert len(many) <= len(few), many


def test_what_breaks_at_one_run_does_not_break_the_trial(
    known: Known, actor: Actor, ann: User
) -> None:
    ids = stopped(saga_of(known, actor), 2)

    def breaking(verb: Verb, view: RunView) -> None:
        if view.id == ids[0]:
            raise ZeroDivisionError("secret")

    with patch("sagas.operate.bulk.fits", breaking):
        batch = drafted(ann)
    assert found(batch) == {"flow:0": "unfit", "flow:1": "ready"}
    assert batch.items.earliest("id").detail == "It cannot be tried: ZeroDivisionError."


def test_a_database_that_goes_away_ends_the_trial_and_leaves_nothing(
    known: Known, actor: Actor, ann: User
) -> None:
    stopped(saga_of(known, actor), 1)
    with (
        patch("sagas.operate.bulk.fits", side_effect=OperationalError("gone")),
        pytest.raises(OperationalError),
    ):
        drafted(ann)
    assert not Batch.objects.exists()


def test_only_who_may_change_many_runs_may_try(known: Known, actor: Actor) -> None:
    for number, right in enumerate((Right.CHANGE, Right.BATCH)):
        with pytest.raises(PermissionDenied, match=r"sagas\.(add_batch|change_run)"):
            drafted(operator(f"user{number}", right))


def test_a_trial_leaves_out_sagas_beyond_ones_scope(known: Known, actor: Actor) -> None:
    group = Group.objects.create(name="only flow")
    for right in (Right.READ, Right.CHANGE, Right.BATCH):
        group.permissions.add(Permission.objects.get(codename=right.split(".")[1]))
    Scope.objects.create(group=group, saga="flow")
    bob = User.objects.create_user("bob")
    bob.groups.add(group)
    stopped(saga_of(known, actor), 1)
    (outside,) = stopped(saga_of(known, actor, "other"), 1)
    batch = drafted(bob)
    assert found(batch) == {"flow:0": "ready", "other:0": "unfit"}
    assert "does not hold for 'other'" in batch.items.get(run=outside).detail


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_batch_needs_a_reason(ann: User, reason: str) -> None:
    with pytest.raises(VerbRefused, match="needs a reason"):
        draft(Run.objects.all(), RETRY, by=ann, reason=reason)


@pytest.mark.parametrize("rate", [0, 0.05, 201, -1, float("nan"), float("inf")])
def test_a_rate_beyond_its_bounds_is_refused(ann: User, rate: float) -> None:
    with pytest.raises(VerbRefused, match=r"between 0\.1 and 200"):
        draft(Run.objects.all(), RETRY, by=ann, reason="r", rate=rate)


def test_a_second_persons_part_is_told_beforehand(known: Known, actor: Actor, ann: User) -> None:
    stopped(saga_of(known, actor), 1)
    with override_settings(SAGAS={"FOUR_EYES": {"flow": ["retry"]}}):
        batch = drafted(ann)
    assert batch.items.get().detail == "A second person must consent."


def test_a_draft_that_nobody_confirmed_goes_after_a_day(ann: User) -> None:
    old, new = drafted(ann), drafted(ann)
    Batch.objects.filter(pk=old.pk).update(created_at=F("created_at") - timedelta(hours=25))
    with pytest.raises(VerbRefused, match="more than a day old"):
        confirm(old.pk, ann)
    drafted(ann)
    assert not Batch.objects.filter(pk=old.pk).exists()
    assert Batch.objects.filter(pk=new.pk).exists()
    with pytest.raises(SagaError, match="a draft is removed after a day"):
        confirm(old.pk, ann)


# --- the word that starts it ---------------------------------------------------------------


def test_a_confirmed_batch_is_sent_and_audited(
    known: Known, actor: Actor, ann: User, post: Post
) -> None:
    (run_id,) = stopped(saga_of(known, actor), 1)
    batch, sent = drafted(ann, query="status=needs_attention"), post.count()
    confirmed = confirm(batch.pk, ann)
    assert (confirmed.status, confirmed.started_at is None) == ("running", False)
    assert post.count() == sent + 1
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.subject) == ("batch retry", f"batch {batch.pk}")
    assert (entry.actor, entry.reason, entry.batch) == ("ann", "restocked", batch.pk)
    assert entry.details["query"] == "status=needs_attention"
    actor.answers["do b"] = None
    while post.deliver():
        pass
    assert status(run_id) == "succeeded"
    assert Batch.objects.get(pk=batch.pk).status == BatchStatus.DONE


def test_only_the_one_who_tried_it_out_can_confirm(known: Known, actor: Actor, ann: User) -> None:
    stopped(saga_of(known, actor), 1)
    batch = drafted(ann)
    for verb in (confirm, discard):
        with pytest.raises(PermissionDenied, match="Only ann, who made this batch"):
            verb(batch.pk, operator(f"other-{verb.__name__}"))
    ann.user_permissions.clear()
    with pytest.raises(PermissionDenied, match="add_batch"):
        confirm(batch.pk, User.objects.get(pk=ann.pk))


def test_a_batch_is_confirmed_once(known: Known, actor: Actor, ann: User, post: Post) -> None:
    stopped(saga_of(known, actor), 1)
    batch = drafted(ann)
    confirm(batch.pk, ann)
    sent = post.count()
    with pytest.raises(VerbRefused, match="running already"):
        confirm(batch.pk, ann)
    with pytest.raises(VerbRefused, match="it is history and stays"):
        discard(batch.pk, ann)
    assert post.count() == sent


def test_a_batch_of_which_nothing_fits_cannot_be_confirmed(
    known: Known, actor: Actor, ann: User
) -> None:
    begun(saga_of(known, actor))
    with pytest.raises(VerbRefused, match="Nothing in this batch can be done"):
        confirm(drafted(ann).pk, ann)


def test_a_draft_can_be_thrown_away(ann: User) -> None:
    batch = drafted(ann)
    discard(batch.pk, ann)
    assert not Batch.objects.exists()


# --- the word that stops it ----------------------------------------------------------------


def test_what_a_stopped_batch_has_not_done_is_left(known: Known, actor: Actor, ann: User) -> None:
    stopped(saga_of(known, actor), 3)
    batch = drafted(ann)
    confirm(batch.pk, ann)
    work(batch.pk, "task", seconds=0)
    bob = operator("bob")
    stopped_batch = stop(batch.pk, bob)
    assert (stopped_batch.status, stopped_batch.stopped_by) == ("stopped", "bob")
    assert work(batch.pk, "task") == {
        **dict.fromkeys(("unfit", "asked", "refused", "failed"), 0),
        **{"status": "stopped", "accepted": 1, "ready": 2},
    }
    assert list(found(batch).values()) == ["done", "ready", "ready"]
    entry = AuditEntry.objects.filter(verb="stop batch").get()
    assert (entry.actor, entry.subject) == ("bob", f"batch {batch.pk}")
    with pytest.raises(VerbRefused, match="stopped by bob; only one that runs"):
        stop(batch.pk, ann)


def test_only_who_may_make_batches_can_stop_one(known: Known, actor: Actor, ann: User) -> None:
    stopped(saga_of(known, actor), 1)
    batch = drafted(ann)
    confirm(batch.pk, ann)
    with pytest.raises(PermissionDenied, match="add_batch"):
        stop(batch.pk, operator("eve", Right.CHANGE))


def test_who_sees_only_some_sagas_sees_and_stops_only_batches_of_their_own(
    known: Known, actor: Actor, ann: User
) -> None:
    group = Group.objects.create(name="scoped")
    for right in (Right.READ, Right.BATCH, Right.CHANGE):
        group.permissions.add(Permission.objects.get(codename=right.split(".")[1]))
    Scope.objects.create(group=group, saga="other")
    bob = User.objects.create_user("bob")
    bob.groups.add(group)
    stopped(saga_of(known, actor), 1)
    batch, own = drafted(ann), drafted(bob)
    confirm(batch.pk, ann)
    assert list(visible_batches(bob)) == [own]
    assert set(visible_batches(ann)) == {batch, own}
    with pytest.raises(PermissionDenied, match="only stop batches of your own"):
        stop(batch.pk, bob)


def test_words_about_a_batch_that_is_not_there_are_refused(ann: User) -> None:
    for verb in (confirm, stop, discard):
        with pytest.raises(SagaError, match="There is no batch"):
            verb(uuid4(), ann)


def test_an_instruction_may_name_the_step(known: Known, actor: Actor, ann: User) -> None:
    ids = stopped(saga_of(known, actor), 1)
    named = instruction("retry", {"step": "c"})
    batch = draft(Run.objects.filter(id__in=ids), named, by=ann, reason="r")
    assert "Step 'c' is pending" in batch.items.get().detail
    retry(ids[0], "b", by=ann, reason="r")


def test_a_trial_names_the_compensation_that_it_would_retry(
    known: Known, actor: Actor, ann: User
) -> None:
    stopped_undoing(known, actor)
    assert drafted(ann).items.get().step == "undo of b"


def test_a_trial_keeps_the_name_where_a_title_is_too_long(
    known: Known, actor: Actor, ann: User
) -> None:
    long = "x" * 80
    actor.answers |= {"do c": Refused("no"), f"undo {long}": Refused("too late")}
    carried(begun(known(flow([actor.step(long), *actor.steps("cd")]))), long)
    item = drafted(ann).items.get()
    assert (item.status, item.step) == (ItemStatus.READY, long)

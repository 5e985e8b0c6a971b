"""Rules for what is no verb on one run: holds, batches, and changed input."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.test import override_settings

from sagas.errors import ApprovalNeeded, VerbRefused
from sagas.models import Approval, AuditEntry, Batch, Hold, Scope
from sagas.operate.approval import approve, ask, decline, pending
from sagas.operate.bulk import confirm, confirm_or_ask, discard, draft
from sagas.operate.catalogue import carry_out
from sagas.operate.hold import hold, hold_or_ask, lift, lift_or_ask
from sagas.operate.instruction import instruction
from sagas.operate.retry import Retry
from sagas.testing.post import Post
from tests.sagas.operate.parked import WHY, Person, stopped_past_the_pivot
from tests.sagas.stage import Actor, Known, run_of, status

pytestmark = pytest.mark.django_db(transaction=True)
BEA = Person("bea")


@pytest.fixture(autouse=True)
def run_id(post: Post, known: Known, actor: Actor) -> UUID:
    """A run that stopped; the one who asks is a user, who is looked up again."""
    ann = User.objects.create_user("ann")
    wanted = Permission.objects.filter(codename__in=["change_run", "add_hold", "add_batch"])
    ann.user_permissions.set(wanted)
    return stopped_past_the_pivot(known, actor)


def rules(**named: list[str]) -> Any:
    return override_settings(SAGAS={"FOUR_EYES": named})


def scoped_approver(saga: str) -> User:
    group = Group.objects.create(name=f"approvers of {saga}")
    group.permissions.add(Permission.objects.get(codename="approve_run"))
    Scope.objects.create(group=group, saga=saga)
    user = User.objects.create_user(f"approver of {saga}")
    user.groups.add(group)
    return user


def tried(run_id: UUID) -> Batch:
    runs = type(run_of(run_id)).objects.filter(pk=run_id)
    return draft(runs, instruction("retry", {}), **WHY)


# --- changed input -------------------------------------------------------------------------


def test_changed_input_needs_a_second_person_where_a_plain_retry_does_not(run_id: UUID) -> None:
    with rules(flow=["change-input"]):
        answer = carry_out(run_id, Retry(step="b", payload={"number": 7}), **WHY)
        assert answer.approval is not None
        assert status(run_id) == "needs_attention"
        assert approve(answer.approval, by=BEA).status == "approved"
    assert (run_of(run_id).amended, status(run_id)) == ({"number": 7, "refuse": ""}, "running")


def test_a_plain_retry_is_done_at_once_under_a_rule_for_changed_input(run_id: UUID) -> None:
    with rules(flow=["change-input"]):
        assert carry_out(run_id, Retry(step="b", payload=None), **WHY).status == "running"


# --- holds ---------------------------------------------------------------------------------


def test_a_hold_is_placed_and_lifted_when_a_second_person_consents() -> None:
    with rules(flow=["hold", "lift"]):
        with pytest.raises(ApprovalNeeded, match="To hold the saga 'flow'"):
            hold("saga", "flow", **WHY)
        asked = hold_or_ask("saga", "flow", **WHY)
        assert isinstance(asked, Approval)
        assert (asked.saga, asked.subject, Hold.objects.count()) == ("flow", "saga flow", 0)
        with pytest.raises(VerbRefused, match="ann has asked already to hold saga flow"):
            hold_or_ask("saga", "flow", by=BEA, reason="me too")
        assert approve(asked.pk, by=BEA).status == "approved"
        placed = Hold.objects.get()
        assert placed.placed_by == "ann"
        with pytest.raises(ApprovalNeeded, match="To lift the saga 'flow'"):
            lift(placed.pk, **WHY)
        lifting = lift_or_ask(placed.pk, per_second=5, **WHY)
        assert isinstance(lifting, Approval)
        assert approve(lifting.pk, by=scoped_approver("flow")).status == "approved"
    assert Hold.objects.get().lifted_by == "ann"
    entries = AuditEntry.objects.filter(verb__in=["hold", "lift"]).order_by("number")
    assert [(e.verb, e.actor, e.approver) for e in entries] == [
        ("hold", "ann", "bea"),
        ("lift", "ann", "approver of flow"),
    ]


def test_a_hold_on_what_several_sagas_share_has_the_rule_of_each_of_them(run_id: UUID) -> None:
    with rules(flow=["hold"]), pytest.raises(ApprovalNeeded, match="To hold the queue"):
        hold("queue", "sagas", **WHY)
    with rules(other=["hold"]):
        hold("queue", "sagas", **WHY)


def test_consent_to_what_is_about_several_sagas_needs_the_right_for_all_of_them() -> None:
    with rules(flow=["hold"]):
        asked = hold_or_ask("queue", "sagas", **WHY)
        assert isinstance(asked, Approval)
        stranger = scoped_approver("flow")
        with pytest.raises(PermissionDenied, match="for all of them"):
            approve(asked.pk, by=stranger)
        with pytest.raises(PermissionDenied, match="for all of them"):
            decline(asked.pk, by=stranger, note="no")
        assert approve(asked.pk, by=BEA).status == "approved"


def test_consent_to_a_hold_that_was_placed_meanwhile_comes_to_nothing() -> None:
    with rules(flow=["hold"]):
        asked = hold_or_ask("saga", "flow", **WHY)
    assert isinstance(asked, Approval)
    hold("saga", "flow", **WHY)
    decided = approve(asked.pk, by=BEA)
    assert (decided.status, Hold.objects.count()) == ("failed", 1)
    assert "is held already" in decided.note


# --- batches -------------------------------------------------------------------------------


def test_a_batch_begins_when_a_second_person_consents(run_id: UUID) -> None:
    batch = tried(run_id)
    with rules(flow=["batch"]):
        with pytest.raises(ApprovalNeeded, match="batch needs a second"):
            confirm(batch.pk, WHY["by"])
        asked = confirm_or_ask(batch.pk, WHY["by"])
        assert isinstance(asked, Approval)
        assert (asked.saga, asked.subject) == ("flow", f"retry 1 run (batch {batch.pk})")
        with pytest.raises(VerbRefused, match="ann has asked already to batch"):
            confirm_or_ask(batch.pk, WHY["by"])
        batch.refresh_from_db()
        assert (batch.status, status(run_id)) == ("draft", "needs_attention")
        assert approve(asked.pk, by=BEA).status == "approved"
    batch.refresh_from_db()
    assert batch.status == "running"
    entry = AuditEntry.objects.get(verb="batch retry")
    assert (entry.actor, entry.approver) == ("ann", "bea")


def test_consent_to_a_batch_that_is_gone_comes_to_nothing(run_id: UUID) -> None:
    batch = tried(run_id)
    with rules(**{"*": ["batch"]}):
        asked = confirm_or_ask(batch.pk, WHY["by"])
    assert isinstance(asked, Approval)
    discard(batch.pk, WHY["by"])
    assert approve(asked.pk, by=BEA).status == "failed"
    assert not pending().exists()


def test_a_request_on_a_run_and_one_on_none_do_not_stand_in_each_others_way(run_id: UUID) -> None:
    with rules(**{"*": ["hold", "batch"]}):
        ask(run_id, Retry(step="b", payload=None), **WHY)
        hold_or_ask("saga", "flow", **WHY)
        confirm_or_ask(tried(run_id).pk, WHY["by"])
    assert pending().count() == 3

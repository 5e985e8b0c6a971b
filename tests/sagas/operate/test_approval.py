"""Four eyes: what one person asks for is done when a second one consents, and only then."""

from __future__ import annotations

from functools import partial

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.test import override_settings

from sagas.errors import ApprovalNeeded, SagaError, VerbRefused
from sagas.models import Approval, AuditEntry
from sagas.operate.approval import approve, ask, decline, pending, withdraw
from sagas.operate.catalogue import carry_out
from sagas.operate.resolve import Resolve, resolve
from sagas.operate.retry import Retry
from sagas.operate.skip import Skip
from sagas.retire import remove
from sagas.testing.post import Post
from tests.sagas.operate.parked import (
    WHY,
    Person,
    delivered,
    stopped_past_the_pivot,
    stopped_undoing,
)
from tests.sagas.stage import Actor, Known, at_once, run_of, states, status, told

pytestmark = pytest.mark.django_db(transaction=True)
RULES = {"FOUR_EYES": {"flow": ["skip", "resolve"]}}
BEA = Person("bea")


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture(autouse=True)
def ann() -> User:
    """The one who asks: a user, who is looked up again when a second person consents."""
    user = User.objects.create_user("ann")
    user.user_permissions.add(Permission.objects.get(codename="change_run"))
    return user


def test_without_a_second_person_nothing_is_done(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with override_settings(SAGAS=RULES), pytest.raises(ApprovalNeeded, match="second person"):
        resolve(run_id, **WHY)
    assert (status(run_id), AuditEntry.objects.count()) == ("needs_attention", 0)


@pytest.mark.parametrize("rules", [{"flow": ["skip"]}, {"*": ["skip"]}])
def test_what_was_asked_for_is_done_when_a_second_person_consents(
    known: Known, actor: Actor, post: Post, rules: dict[str, list[str]]
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with override_settings(SAGAS={"FOUR_EYES": rules}):
        answer = carry_out(run_id, Skip(step="b", result={"by": "hand"}), **WHY)
        assert (answer.status, states(run_id)["b"]) == (None, "failed")
        assert answer.approval is not None
        decided = approve(answer.approval, by=BEA, note="seen")
    delivered(post)
    assert (decided.status, decided.decided_by, status(run_id)) == ("approved", "bea", "succeeded")
    entry = AuditEntry.objects.get(verb="skip")
    assert (entry.actor, entry.approver, entry.reason) == ("ann", "bea", "ticket 7")
    assert told(run_id).problems == []


def test_a_verb_that_no_rule_names_is_done_at_once(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with override_settings(SAGAS={"FOUR_EYES": {"other": ["resolve"], "*": ["skip"]}}):
        assert carry_out(run_id, Resolve(), **WHY).status == "resolved"


def test_nobody_consents_to_what_they_asked_for_themselves(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    with pytest.raises(VerbRefused, match="another person must consent"):
        approve(asked.pk, by=WHY["by"])
    with pytest.raises(IntegrityError, match="approval_by_another"):
        Approval.objects.filter(pk=asked.pk).update(status="approved", decided_by="ann")


def test_only_who_may_consent_does(known: Known, actor: Actor) -> None:
    asked = ask(stopped_past_the_pivot(known, actor), Resolve(), **WHY)
    with pytest.raises(PermissionDenied, match="approve_run"):
        approve(asked.pk, by=Person("cid", may=False))
    with pytest.raises(PermissionDenied, match="approve_run"):
        decline(asked.pk, by=Person("cid", may=False), note="no")


def test_only_what_fits_can_be_asked_for_and_once(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(VerbRefused, match="has succeeded"):
        ask(run_id, Skip(step="p", result=None), **WHY)
    ask(run_id, Resolve(), **WHY)
    with pytest.raises(VerbRefused, match="ann has asked already to resolve"):
        ask(run_id, Resolve(), by=BEA, reason="me too")
    assert pending(run_id).count() == 1


def test_consent_to_what_was_asked_of_an_older_state_does_nothing_and_says_so(
    known: Known, actor: Actor
) -> None:
    from sagas.operate.retry import retry

    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    retry(run_id, "b", **WHY)
    decided = approve(asked.pk, by=BEA)
    assert decided.status == "failed"
    assert "has moved since" in decided.note
    assert status(run_id) == "running"
    assert not AuditEntry.objects.filter(verb="resolve").exists()


def test_who_asked_and_may_no_longer_do_it_gets_nothing_done(
    known: Known, actor: Actor, ann: User
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    ann.user_permissions.clear()
    assert approve(asked.pk, by=BEA).status == "failed"
    assert status(run_id) == "needs_attention"


def test_a_request_is_declined_with_a_reason_or_withdrawn(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    with pytest.raises(VerbRefused, match="needs a reason"):
        decline(asked.pk, by=BEA, note=" ")
    with pytest.raises(VerbRefused, match="decline it instead"):
        withdraw(asked.pk, by=BEA)
    assert decline(asked.pk, by=BEA, note="not yet").status == "declined"
    with pytest.raises(VerbRefused, match="was declined by bea already"):
        approve(asked.pk, by=BEA)
    again = ask(run_id, Resolve(), **WHY)
    assert withdraw(again.pk, by=WHY["by"]).status == "withdrawn"
    assert not pending().exists()
    with pytest.raises(SagaError, match="There is no request 0"):
        approve(0, by=BEA)


def test_of_several_who_consent_at_once_one_does_it(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    outcomes = at_once(*[partial(approve, asked.pk, by=BEA)] * 5)
    refused = [o for o in outcomes if isinstance(o, VerbRefused)]
    assert len(refused) == 4, outcomes
    assert AuditEntry.objects.filter(verb="resolve").count() == 1


def test_the_shell_asks_too(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), by=Person("shell:root"), reason="x")
    assert approve(asked.pk, by=BEA).status == "approved"
    assert status(run_id) == "resolved"


def test_consent_that_comes_to_nothing_is_in_the_audit(known: Known, actor: Actor) -> None:
    from sagas.operate.retry import retry

    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    retry(run_id, "b", **WHY)
    approve(asked.pk, by=BEA, note="go")
    entry = AuditEntry.objects.get(verb="approve to resolve")
    assert (entry.actor, entry.reason, entry.run) == ("bea", "go", run_id)
    assert "has moved since" in entry.details["failed"]


def test_consent_to_a_request_whose_run_is_gone_ends_it(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Resolve(), **WHY)
    resolve(run_id, **WHY)
    assert remove({run_id: run_of(run_id).revision}).runs == {run_id}
    decided = approve(asked.pk, by=BEA)
    assert (decided.status, decided.note) == ("failed", f"No run has the id {run_id}.")


def test_consent_to_input_that_does_not_fit_any_more_ends_the_request(
    known: Known, actor: Actor
) -> None:
    from sagas.operate.retry import Retry

    run_id = stopped_past_the_pivot(known, actor)
    asked = ask(run_id, Retry(step="b", payload={"number": 7}), **WHY)
    Approval.objects.update(arguments={"step": "b", "payload": {"number": "many"}})
    decided = approve(asked.pk, by=BEA)
    assert (decided.status, status(run_id)) == ("failed", "needs_attention")
    assert "number: Input should be a valid integer" in decided.note


def test_a_request_for_a_compensation_names_it(known: Known, actor: Actor) -> None:
    run_id = stopped_undoing(known, actor)
    asked = ask(run_id, Retry(step="b", payload=None), **WHY)
    assert asked.arguments == {"step": "undo of b"}
    assert approve(asked.pk, by=BEA).status == "approved"

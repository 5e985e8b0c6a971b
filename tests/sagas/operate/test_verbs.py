"""The operator's verbs on the real record: what each moves, refuses, notes and sends."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.test import override_settings
from django.utils import timezone
from pydantic import BaseModel, field_validator

from sagas import record
from sagas.api import Retry as Budget
from sagas.api import cancel, compensate, mark, resolve, retry, skip, start
from sagas.define.context import Run as Context
from sagas.define.outcome import NotApplied, Refused, RetryLater, Unknown, Wait
from sagas.define.saga import Definition
from sagas.define.step import step
from sagas.errors import PayloadInvalid, UnknownSaga, VerbRefused
from sagas.models import AuditEntry, Event, Run, Scope
from sagas.operate.retry import Retry
from sagas.operate.verb import document, fits
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, fork, pivot
from tests.sagas.operate.parked import (
    ANN,
    WHY,
    Person,
    delivered,
    settled,
    stopped_in_doubt,
    stopped_past_the_pivot,
    stopped_undoing,
)
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    row,
    run_of,
    states,
    status,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)  # messages go when it has committed


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


# --- retry ---------------------------------------------------------------------------------


def test_a_retry_does_the_step_again_with_a_new_key_and_goes_on(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    keys: list[str] = []
    actor.answers["do b"] = lambda run: keys.append(run.key)
    before = row(run_id, "b").generation
    assert retry(run_id, "b", **WHY) == "running"
    assert (run_of(run_id).attention, row(run_id, "b").started_at) == ("", None)
    delivered(post)
    assert status(run_id) == "succeeded"
    assert actor.calls == ["do p", "do b", "do b", "do c"]
    assert row(run_id, "b").generation == before + 1
    assert told(run_id).problems == []


def test_a_retry_of_what_may_have_happened_keeps_its_key(known: Known, actor: Actor) -> None:
    run_id = stopped_in_doubt(known, actor)
    assert retry(run_id, "b", **WHY) == "running"
    found = row(run_id, "b")
    assert (found.status, found.generation, found.in_doubt) == ("unknown", 1, True)
    assert found.due_at is not None
    assert found.due_at <= timezone.now()


def test_a_retry_of_a_compensation_goes_on_undoing(known: Known, actor: Actor, post: Post) -> None:
    run_id = stopped_undoing(known, actor)
    actor.answers["undo b"] = None
    assert retry(run_id, "b", **WHY) == "compensating"
    delivered(post)
    assert status(run_id) == "compensated"
    assert actor.calls[-2:] == ["undo b", "undo a"]
    assert told(run_id).problems == []


def test_a_retry_has_its_budget_anew(known: Known, actor: Actor, post: Post) -> None:
    actor.answers |= {"do b": Refused("no"), "undo a": RetryLater("busy", 0.0)}
    undo = {"retry": Budget(attempts=2, base=0.0, total=60)}
    run_id = begun(known(flow([actor.step("a", undo=undo), actor.step("b")])))
    carried(run_id, "a")
    settled(post, run_id)
    assert (status(run_id), actor.calls.count("undo a")) == ("needs_attention", 2)
    retry(run_id, "a", **WHY)
    settled(post, run_id)
    assert (status(run_id), actor.calls.count("undo a")) == ("needs_attention", 4)


@override_settings(SAGAS={"POISON_ATTEMPTS": 2})
def test_a_step_whose_workers_kept_dying_can_be_tried_again(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    with patch("sagas.run.dispatch.attempt", return_value=None):  # it dies in its call
        for _ in range(3):
            carried(run_id, "a")
            lapse(run_id)
    assert (status(run_id), states(run_id)["a"]) == ("needs_attention", "unknown")
    assert retry(run_id, "a", **WHY) == "running"
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_what_waits_for_its_next_try_is_done_now(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do a"] = RetryLater("busy", 3600.0)
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    actor.answers["do a"] = None
    assert retry(run_id, "a", **WHY) == "running"
    delivered(post)
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_what_is_due_already_is_not_hastened(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    with pytest.raises(VerbRefused, match="is due already"):
        retry(run_id, "a", **WHY)


def test_branches_that_went_on_meanwhile_are_gone_on_with(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do b"] = Unknown("reset")
    branches = fork([actor.step("b", idempotent=False)], actor.steps("cd"))
    run_id = begun(known(flow([branches, actor.step("e")], hop=True)))
    carried(run_id, "b")
    carried(run_id, "c")
    assert states(run_id) == {"b": "unknown", "c": "ready", "d": "pending", "e": "pending"}
    mark(run_id, "b", happened=True, **WHY)
    delivered(post)
    carried(run_id, "c")
    delivered(post)
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


# --- skip and mark -------------------------------------------------------------------------


def test_a_skipped_step_is_passed_over_and_its_substitute_is_what_others_see(
    known: Known, actor: Actor, post: Post
) -> None:
    seen: list[Any] = []
    run_id = stopped_past_the_pivot(known, actor)
    actor.answers["do c"] = lambda run: seen.append(run.results["b"])
    skip(run_id, "b", result={"id": "by hand"}, **WHY)
    delivered(post)
    assert (status(run_id), states(run_id)["b"]) == ("succeeded", "skipped")
    assert seen == [{"id": "by hand"}]
    assert told(run_id).problems == []


def test_a_skipped_compensation_lets_the_others_go_on(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_undoing(known, actor)
    assert skip(run_id, "b", **WHY) == "compensating"
    delivered(post)
    assert (status(run_id), states(run_id, BACKWARD)["b"]) == ("compensated", "skipped")
    assert actor.calls[-1] == "undo a"


def test_what_happened_is_gone_on_from(known: Known, actor: Actor, post: Post) -> None:
    run_id = stopped_in_doubt(known, actor)
    mark(run_id, "b", happened=True, result={"id": "ch_1"}, **WHY)
    delivered(post)
    assert (status(run_id), row(run_id, "b").result) == ("succeeded", {"id": "ch_1"})
    assert actor.calls == ["do a", "do b", "do c"]
    assert not row(run_id, "b").in_doubt


def test_what_did_not_happen_is_done_with_a_new_key(known: Known, actor: Actor, post: Post) -> None:
    run_id = stopped_in_doubt(known, actor)
    actor.answers["do b"] = None
    mark(run_id, "b", happened=False, **WHY)
    delivered(post)
    assert (status(run_id), row(run_id, "b").generation) == ("succeeded", 2)
    assert actor.calls == ["do a", "do b", "do b", "do c"]


def test_a_substitute_must_fit_what_the_step_declares(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(PayloadInvalid, match="the result of step 'b'"):
        skip(run_id, "b", result={"bad": "\x00"}, **WHY)
    assert status(run_id) == "needs_attention"


class Charge(BaseModel):
    amount: int
    holder: str = ""

    @field_validator("holder")
    @classmethod
    def _refuse(cls, value: str) -> str:
        raise ValueError(f"nobody is called {value}")


@step(harmless=True)
def charge(run: Context[Charge]) -> Charge:
    raise NotImplementedError


def test_what_a_validator_says_of_a_result_is_not_in_the_message() -> None:
    """It is kept with the request that a second person consented to, and in the audit."""
    with pytest.raises(PayloadInvalid) as caught:
        document(Definition("flow", payload=Charge, steps=[charge]), "charge", {
            "amount": 1, "holder": "Erika",
        })  # fmt: skip
    assert "nobody is called Erika" in str(caught.value.problems)
    assert "Erika" not in str(caught.value)


def test_what_does_not_fit_is_told_by_its_field_and_not_quoted() -> None:
    typed = Definition("typed", payload=Charge, steps=[charge])
    with pytest.raises(PayloadInvalid) as caught:
        document(typed, "charge", {"amount": "ann@example.com"})
    (problem,) = caught.value.problems
    assert problem["field"] == "result.amount"
    assert "integer" in problem["message"]
    assert "ann@example.com" not in str(caught.value)


# --- compensate and resolve ----------------------------------------------------------------


def test_a_run_that_stopped_before_its_pivot_is_undone(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_in_doubt(known, actor)
    with pytest.raises(VerbRefused, match="nobody knows whether 'b' happened"):
        compensate(run_id, **WHY)
    actor.answers["do b"] = NotApplied()
    mark(run_id, "b", happened=True, **WHY)
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_run_past_its_pivot_cannot_be_undone(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(VerbRefused, match="it has passed its pivot"):
        compensate(run_id, **WHY)


def test_a_run_that_is_being_undone_is_not_undone_twice(known: Known, actor: Actor) -> None:
    run_id = stopped_undoing(known, actor)
    with pytest.raises(VerbRefused, match="is being undone already"):
        compensate(run_id, **WHY)


def test_a_run_whose_condition_broke_can_be_undone(known: Known, actor: Actor, post: Post) -> None:
    def breaks(run: object) -> bool:
        raise ValueError("odd")

    run_id = begun(known(flow([actor.step("a"), actor.step("b", when=breaks)])))
    carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    assert compensate(run_id, **WHY) == "compensating"
    delivered(post)
    assert (status(run_id), actor.calls) == ("compensated", ["do a", "undo a"])
    assert told(run_id).problems == []


def test_a_resolved_run_is_over(known: Known, actor: Actor, post: Post) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    assert resolve(run_id, **WHY) == "resolved"
    run = run_of(run_id)
    assert run.finished_at is not None
    assert run.wake_at is None
    assert post.count() == 1
    with pytest.raises(VerbRefused, match="is resolved; only what needs attention can be retried"):
        retry(run_id, "b", **WHY)


# --- what all share ------------------------------------------------------------------------


def test_who_asked_what_and_why_is_the_first_thing_logged(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    last = Event.objects.filter(run=run_id).latest("id").pk
    retry(run_id, "b", **WHY)
    first = Event.objects.filter(run=run_id, id__gt=last).earliest("id")
    assert (first.step, first.new) == ("", "retry")
    assert first.data == {"by": "ann", "why": "ticket 7", "of": "b"}


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_verb_without_a_reason_is_refused(known: Known, actor: Actor, reason: str) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(VerbRefused, match="needs a reason"):
        retry(run_id, "b", by=ANN, reason=reason)


def test_the_right_is_asked_for_here_and_not_only_at_the_door(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(PermissionDenied, match="change_run"):
        retry(run_id, "b", by=Person(may=False), reason="x")
    assert status(run_id) == "needs_attention"


def test_who_looked_before_it_moved_is_told_how_it_stands(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    seen = record.read(run_id).imprint
    retry(run_id, "b", seen=seen, **WHY)
    with pytest.raises(
        VerbRefused, match="has moved since you looked: it is running, b is ready now"
    ):
        resolve(run_id, seen=seen, **WHY)


def test_a_sweep_that_only_looks_is_no_move(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    before, seen = run_of(run_id).revision, record.read(run_id).imprint
    lapse(run_id)
    sweep()
    assert run_of(run_id).revision > before
    assert cancel(run_id, seen=seen, **WHY) == "compensated"


@pytest.mark.parametrize(
    ("step", "message"),
    [("p", "has succeeded; only a step that is failed or unknown"), ("z", "has no step 'z'")],
)
def test_a_step_that_does_not_fit_is_named_with_its_state(
    known: Known, actor: Actor, step: str, message: str
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(VerbRefused, match=message):
        retry(run_id, step, **WHY)


def test_of_twenty_who_click_retry_one_wins_and_the_others_are_told(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    actor.answers["do b"] = None
    outcomes = at_once(*[partial(retry, run_id, "b", **WHY)] * 20)
    refused = [o for o in outcomes if isinstance(o, VerbRefused)]
    assert (outcomes.count("running"), len(refused)) == (1, 19), outcomes
    assert all("is due already" in str(o) for o in refused), refused
    delivered(post)
    assert (status(run_id), actor.calls.count("do b")) == ("succeeded", 2)
    assert told(run_id).problems == []


def test_of_a_retry_and_a_resolve_one_wins_and_the_other_is_told(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    outcomes = at_once(partial(retry, run_id, "b", **WHY), partial(resolve, run_id, **WHY))
    refused = [o for o in outcomes if isinstance(o, VerbRefused)]
    assert len(refused) == 1, outcomes
    assert told(run_id).problems == []


# --- changed input -------------------------------------------------------------------------


def test_a_step_is_done_again_with_other_input_and_the_difference_is_kept(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    seen: list[int] = []
    actor.answers["do b"] = lambda run: seen.append(run.payload.number)
    retry(run_id, "b", payload={"number": 7}, **WHY)
    delivered(post)
    assert (seen, status(run_id)) == ([7], "succeeded")
    run = run_of(run_id)
    assert run.payload == {"number": 0, "refuse": ""}
    assert run.amended == {"number": 7, "refuse": ""}
    entry = AuditEntry.objects.get(run=run_id)
    assert entry.details == {"step": "b", "changed": {"number": [0, 7], "refuse": ["", None]}}
    assert "changed" not in Event.objects.get(run=run_id, new="retry").data


def test_the_same_start_is_still_the_same_run_when_its_input_was_changed(
    known: Known, actor: Actor
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    run = run_of(run_id)
    retry(run_id, "b", payload={"number": 7}, **WHY)
    again = start("flow", Payload(), key=run.business_key)
    assert (again.id, again.created) == (run_id, False)


def test_input_that_does_not_fit_the_saga_changes_nothing(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(PayloadInvalid, match="number: Input should be a valid integer"):
        retry(run_id, "b", payload={"number": "many"}, **WHY)
    with pytest.raises(PayloadInvalid, match="NUL"):
        retry(run_id, "b", payload={"refuse": "\x00"}, **WHY)
    assert (status(run_id), run_of(run_id).amended) == ("needs_attention", None)


def test_input_is_not_changed_while_nobody_knows_what_happened_with_the_old(
    known: Known, actor: Actor
) -> None:
    run_id = stopped_in_doubt(known, actor)
    with pytest.raises(VerbRefused, match="whether 'b' happened with the old one"):
        retry(run_id, "b", payload={"number": 7}, **WHY)


def test_new_input_is_sent_under_no_key_that_had_the_old(
    known: Known, actor: Actor, post: Post
) -> None:
    keys: list[tuple[str, str, int]] = []

    def noted(name: str, answer: Any = None) -> Any:
        def call(run: Any) -> Any:
            keys.append((name, run.key, run.payload.number))
            return answer

        return call

    actor.answers |= {"do b": noted("b", Refused("no")), "do c": noted("c", RetryLater("busy", 9))}
    run_id = begun(known(flow([pivot(actor.step("p")), fork(*actor.steps("cb"))])))
    carried(run_id, "p")
    carried(run_id, "b")
    assert (status(run_id), states(run_id)) == (
        "needs_attention",
        {"p": "succeeded", "b": "failed", "c": "ready"},
    )
    before = row(run_id, "c").due_at
    actor.answers |= {"do b": noted("b"), "do c": noted("c")}
    retry(run_id, "b", payload={"number": 7}, **WHY)
    after = row(run_id, "c").due_at
    assert before
    assert after
    assert timedelta(seconds=-1) < after - before < timedelta(seconds=8)
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    old, new = ({key for _, key, number in keys if number == n} for n in (0, 7))
    assert len(old) == len(new) == 2
    assert not old & new
    assert told(run_id).problems == []


def test_what_waits_for_its_next_try_gets_a_new_key_with_new_input(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = RetryLater("busy", 3600.0)
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    keys: list[str] = []
    actor.answers["do a"] = lambda run: keys.append(run.key)
    retry(run_id, "a", payload={"number": 1}, **WHY)
    assert row(run_id, "a").generation == 2
    delivered(post)
    assert (status(run_id), len(keys)) == ("succeeded", 1)
    assert told(run_id).problems == []


# --- cancelling, as a person ----------------------------------------------------------------


def test_a_person_cancels_with_a_reason_that_is_kept(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    with pytest.raises(VerbRefused, match="needs a reason"):
        cancel(run_id, by=ANN)
    assert cancel(run_id, **WHY) == "compensating"
    with pytest.raises(VerbRefused, match="is turning back already"):
        cancel(run_id, **WHY)
    delivered(post)
    assert status(run_id) == "compensated"
    entry = AuditEntry.objects.get(run=run_id)
    assert (entry.verb, entry.actor, entry.reason) == ("cancel", "ann", "ticket 7")
    assert told(run_id).problems == []


# --- what is left behind --------------------------------------------------------------------


def test_the_audit_tells_what_was_before_and_after(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    retry(run_id, "b", **WHY)
    entry = AuditEntry.objects.get()
    assert (entry.run, entry.saga, entry.step, entry.verb) == (run_id, "flow", "b", "retry")
    assert entry.before["status"] == "needs_attention"
    assert entry.after["status"] == "running"
    assert entry.before["b (forward)"] == "failed, generation 1"
    assert entry.after["b (forward)"] == "ready, generation 2"
    assert "c (forward)" not in entry.before


def test_a_verb_that_is_refused_leaves_nothing_behind(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(VerbRefused):
        retry(run_id, "p", **WHY)
    assert not AuditEntry.objects.exists()


def test_djangos_own_log_tells_of_it_too(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    user = User.objects.create_superuser("root")
    resolve(run_id, by=user, reason="by phone")
    entry = LogEntry.objects.get()
    assert (entry.user_id, entry.object_id) == (user.pk, str(run_id))
    assert entry.change_message == "Resolve: by phone"


def test_a_run_whose_code_is_gone_can_be_closed_and_not_continued(
    known: Known, actor: Actor
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    Run.objects.filter(pk=run_id).update(saga="gone")
    with pytest.raises(UnknownSaga):
        retry(run_id, "b", **WHY)
    assert resolve(run_id, **WHY) == "resolved"


def test_a_group_that_is_restricted_to_other_sagas_may_not(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    group = Group.objects.create(name="others")
    group.permissions.add(Permission.objects.get(codename="change_run"))
    Scope.objects.create(group=group, saga="other")
    user = User.objects.create_user("cid")
    user.groups.add(group)
    with pytest.raises(PermissionDenied, match="does not hold for the saga 'flow'"):
        retry(run_id, "b", by=user, reason="x")


def test_trying_a_verb_moves_nothing(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    view = record.read(run_id)
    before = repr(view)
    fits(Retry(step="b", payload={"number": 3}), view)
    with pytest.raises(VerbRefused):
        fits(Retry(step="p", payload=None), view)
    assert repr(view) == before


def test_a_step_that_waits_and_may_have_happened_is_not_forgotten_when_the_run_is_undone(
    known: Known, actor: Actor, post: Post
) -> None:
    def breaks(run: object) -> bool:
        raise ValueError("odd")

    actor.answers["do b"] = Unknown("reset", 0.0)
    other = [actor.step("c"), actor.step("d", when=breaks)]
    run_id = begun(known(flow([fork([actor.step("b")], other), actor.step("e")], hop=True)))
    carried(run_id, "b")
    lapse(run_id)
    actor.answers["do b"] = Wait(3600.0)
    carried(run_id, "b")
    carried(run_id, "c")
    assert (status(run_id), states(run_id)["b"]) == ("needs_attention", "waiting")
    assert row(run_id, "b").in_doubt
    with pytest.raises(VerbRefused, match="'b' may have happened, and waits"):
        compensate(run_id, **WHY)

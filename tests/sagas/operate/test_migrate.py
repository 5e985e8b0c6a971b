"""Runs move to another version on the real record, and go on when their code fits again."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import PermissionDenied
from django.test import override_settings

from sagas import record
from sagas.api import migrate, resume, start
from sagas.define import registry
from sagas.define.outcome import Refused, Wait
from sagas.define.saga import Definition
from sagas.errors import ApprovalNeeded, UnknownSaga, VerbRefused
from sagas.models import AuditEntry, Run, Step
from sagas.operate.offer import offers
from sagas.operate.verify import verify
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow
from tests.sagas.operate.parked import ANN, WHY, Person, settled
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    run_of,
    states,
    status,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture
def actor() -> Actor:
    return Actor()


def waiting(actor: Actor, known: Known, version: int = 1) -> tuple[UUID, Definition]:
    """A run of [a, b, c] that has done a, and whose b waits for an hour."""
    actor.answers["do b"] = Wait(3600.0)
    saga = known(flow(actor.steps("abc"), version=version))
    run_id = begun(saga)
    carried(run_id, "a")
    assert states(run_id) == {"a": "succeeded", "b": "waiting", "c": "pending"}
    return run_id, saga


def ready(actor: Actor, known: Known) -> UUID:
    """A run of [a, b, c] that has done a, and whose b is on a queue that nobody reads yet."""
    steps = [actor.step("a"), actor.step("b", queue="other"), actor.step("c")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "a")
    assert states(run_id) == {"a": "succeeded", "b": "ready", "c": "pending"}
    return run_id


def replaced(*sagas: Definition) -> None:
    """The code knows only these from now on."""
    registry._sagas.pop("flow", None)
    for saga in sagas:
        registry.register(saga)


@pytest.fixture
def stopped(actor: Actor, known: Known) -> UUID:
    """A run that needs attention since the code has other steps now than when it started."""
    run_id = ready(actor, known)
    replaced(flow([actor.step("a"), actor.step("x"), actor.step("c")]))
    with override_settings(SAGAS={"DEPLOY_SECONDS": 0}):
        carried(run_id, "a")
    assert status(run_id) == "needs_attention"
    return run_id


def fitting(run_id: UUID) -> dict[str, Any]:
    """What may be done to a run now, by the verb's name."""
    return {o.verb.name: o for o in offers(record.read(run_id)) if not o.refusal}


# --- the code fits again -------------------------------------------------------------------


def test_a_run_that_a_mismatch_stopped_goes_on_by_resume_once_its_code_is_back(
    actor: Actor, known: Known, post: Post, stopped: UUID
) -> None:
    with pytest.raises(VerbRefused, match="Bring the definition back"):
        resume(stopped, **WHY)
    assert "resume" not in fitting(stopped)
    steps = [actor.step("a"), actor.step("b", queue="other"), actor.step("c")]
    replaced(flow(steps))
    assert "resume" in fitting(stopped)
    resume(stopped, **WHY)
    assert (status(stopped), run_of(stopped).attention) == ("running", "")
    assert post.count() > 0
    settled(post, stopped)
    assert status(stopped) == "succeeded"
    assert AuditEntry.objects.get().verb == "resume"


def test_a_run_that_a_step_stopped_does_not_go_on_by_resume(
    actor: Actor, known: Known, post: Post
) -> None:
    actor.answers["do b"] = Refused("no")
    actor.answers["undo a"] = Refused("no")
    run_id = begun(known(flow(actor.steps("ab"))))
    settled(post, run_id)
    assert status(run_id) == "needs_attention"
    with pytest.raises(VerbRefused, match="cannot be resumed: 'undo of a' gave up"):
        resume(run_id, **WHY)


def test_a_run_that_is_neither_paused_nor_stopped_is_not_resumed(
    actor: Actor, known: Known
) -> None:
    run_id, _ = waiting(actor, known)
    with pytest.raises(VerbRefused, match="is not paused"):
        resume(run_id, **WHY)


# --- another version -----------------------------------------------------------------------


def test_a_run_that_moved_does_the_steps_of_the_new_version(
    actor: Actor, known: Known, post: Post
) -> None:
    run_id = ready(actor, known)
    known(flow(actor.steps("axc"), version=2))
    assert migrate(run_id, 2, **WHY) == "running"
    assert states(run_id) == {"a": "succeeded", "x": "ready", "c": "pending"}
    assert list(Step.objects.filter(run=run_id).values_list("position", flat=True)) == [0, 1, 2]
    made = run_of(run_id)
    assert (made.version, made.fingerprint) == (2, registry.get("flow", 2).fingerprint)
    settled(post, run_id)
    assert actor.calls == ["do a", "do x", "do c"]
    assert status(run_id) == "succeeded"
    assert [verdict.differences for verdict in verify()] == [[]]


def test_a_run_that_moved_undoes_what_both_versions_did(
    actor: Actor, known: Known, post: Post
) -> None:
    run_id = ready(actor, known)
    known(flow(actor.steps("axc"), version=2))
    actor.answers["do c"] = Refused("no")
    migrate(run_id, 2, **WHY)
    settled(post, run_id)
    assert (status(run_id), [*states(run_id, BACKWARD)]) == ("compensated", ["a", "x"])
    assert actor.calls[-2:] == ["undo x", "undo a"]
    assert [verdict.differences for verdict in verify()] == [[]]


def test_a_step_that_waits_goes_on_waiting(actor: Actor, known: Known, post: Post) -> None:
    run_id, _ = waiting(actor, known)
    due = Step.objects.get(run=run_id, name="b").due_at
    known(flow(actor.steps("abx"), version=2))
    migrate(run_id, 2, **WHY)
    assert states(run_id) == {"a": "succeeded", "b": "waiting", "x": "pending"}
    assert Step.objects.get(run=run_id, name="b").due_at == due
    actor.answers["do b"] = None
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_run_that_a_mismatch_stopped_goes_on_when_it_moves(
    actor: Actor, known: Known, post: Post, stopped: UUID
) -> None:
    assert "migrate" in fitting(stopped)
    assert migrate(stopped, 1, **WHY) == "running"
    settled(post, stopped)
    assert (status(stopped), actor.calls) == ("succeeded", ["do a", "do x", "do c"])


def test_a_run_that_a_step_stopped_stays_stopped_when_it_moves(
    actor: Actor, known: Known, post: Post
) -> None:
    actor.answers["do b"] = Refused("no")
    actor.answers["undo a"] = Refused("no")
    run_id = begun(known(flow(actor.steps("ab"))))
    settled(post, run_id)
    why = run_of(run_id).attention
    known(flow(actor.steps("abx"), version=2))
    assert migrate(run_id, 2, **WHY) == "needs_attention"
    assert run_of(run_id).attention == why
    assert {"retry", "skip"} <= set(fitting(run_id))


def test_what_changed_is_in_the_audit_and_in_the_history(actor: Actor, known: Known) -> None:
    run_id = ready(actor, known)
    known(flow(actor.steps("axc"), version=2))
    migrate(run_id, 2, **WHY)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.reason) == ("migrate", "ann", "ticket 7")
    assert entry.details == {"from": 1, "to": 2, "added": ["x"], "removed": ["b"]}
    assert (entry.before["version"], entry.after["version"]) == (1, 2)
    event = run_of(run_id).events.get(new="migrate")
    assert event.data["removed"] == ["b"]


def test_a_run_that_does_not_fit_stays_and_is_told_why(actor: Actor, known: Known) -> None:
    run_id = ready(actor, known)
    known(flow(actor.steps("xac"), version=2))
    before = run_of(run_id).revision
    with pytest.raises(VerbRefused, match="step 'x' is not done and comes before 'a'"):
        migrate(run_id, 2, **WHY)
    with pytest.raises(VerbRefused, match="of that version already"):
        migrate(run_id, 1, **WHY)
    with pytest.raises(UnknownSaga, match="no version 3"):
        migrate(run_id, 3, **WHY)
    assert (run_of(run_id).version, run_of(run_id).revision) == (1, before)
    assert not AuditEntry.objects.exists()


def test_moving_needs_the_right_and_may_need_a_second_person(actor: Actor, known: Known) -> None:
    run_id = ready(actor, known)
    known(flow(actor.steps("ac"), version=2))
    with pytest.raises(PermissionDenied):
        migrate(run_id, 2, by=Person(may=False), reason="why")
    eyes = override_settings(SAGAS={"FOUR_EYES": {"flow": ["migrate"]}})
    with eyes, pytest.raises(ApprovalNeeded):
        migrate(run_id, 2, by=ANN, reason="why")
    assert run_of(run_id).version == 1


def test_of_two_who_move_a_run_at_the_same_moment_one_does(actor: Actor, known: Known) -> None:
    for number in range(5):
        actor.answers["do b"] = None
        replaced()
        steps = [actor.step("a"), actor.step("b", queue="other")]
        saga = known(flow(steps))
        run_id = start(saga, Payload(), key=str(number)).id
        carried(run_id, "a")
        known(flow(actor.steps("ax"), version=2))
        known(flow(actor.steps("ay"), version=3))
        seen = record.read(run_id).imprint
        done = at_once(
            partial(migrate, run_id, 2, seen=seen, **WHY),
            partial(migrate, run_id, 3, seen=seen, **WHY),
        )
        made = Run.objects.get(pk=run_id)
        assert sorted(map(type, done), key=str) != [VerbRefused, VerbRefused]
        assert set(states(run_id)) == {"a", "x" if made.version == 2 else "y"}


def test_a_worker_that_takes_the_step_and_a_person_who_moves_the_run_do_not_both_win(
    actor: Actor, known: Known
) -> None:
    for number in range(5):
        replaced()
        saga = known(flow([actor.step("a"), actor.step("b", queue="other")]))
        run_id = start(saga, Payload(), key=str(number)).id
        carried(run_id, "a")
        known(flow(actor.steps("ax"), version=2))
        actor.calls.clear()
        _, moved = at_once(
            partial(carried, run_id, "b"),
            partial(migrate, run_id, 2, **WHY),
        )
        if moved == "running":
            assert (set(states(run_id)), "do b" in actor.calls) == ({"a", "x"}, False)
        else:
            assert isinstance(moved, VerbRefused)
            assert (set(states(run_id)), "do b" in actor.calls) == ({"a", "b"}, True)

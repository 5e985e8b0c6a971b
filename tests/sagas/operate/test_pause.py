"""Pause and resume: one run stands still, and what waits then goes on."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from sagas import transitions
from sagas.define.draft import Draft
from sagas.errors import VerbRefused
from sagas.models import AuditEntry, Hold
from sagas.operate.hold import hold
from sagas.operate.pause import pause, resume
from sagas.operate.resolve import resolve
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.parked import WHY, delivered, stopped_past_the_pivot
from tests.sagas.stage import Actor, Known, begun, carried, run_of, states, status, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def test_a_paused_run_claims_nothing_and_goes_on_when_it_is_resumed(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert pause(run_id, **WHY) == "pending"
    delivered(post)
    carried(run_id, "a")
    assert (actor.calls, states(run_id)["a"]) == ([], "ready")
    resume(run_id, **WHY)
    assert sweep() == 1
    delivered(post)
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_what_is_in_flight_finishes_and_nothing_follows(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    actor.answers["do a"] = lambda run: pause(run_id, **WHY) and None
    carried(run_id, "a")
    delivered(post)
    assert (actor.calls, states(run_id)) == (["do a"], {"a": "succeeded", "b": "ready"})


def test_who_paused_it_and_why_is_kept(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    pause(run_id, **WHY)
    hold = Hold.objects.get()
    assert (hold.target, hold.placed_by, hold.reason) == (str(run_id), "ann", "ticket 7")
    resume(run_id, **WHY)
    hold.refresh_from_db()
    assert (hold.lifted_by, hold.lifted_at is not None) == ("ann", True)
    verbs = AuditEntry.objects.filter(run=run_id).order_by("number").values_list("verb", flat=True)
    assert list(verbs) == ["pause", "resume"]


def test_neither_is_done_twice(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    with pytest.raises(VerbRefused, match="is not paused"):
        resume(run_id, **WHY)
    pause(run_id, **WHY)
    with pytest.raises(VerbRefused, match="is paused already"):
        pause(run_id, **WHY)


def test_a_run_that_is_over_is_not_paused(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    resolve(run_id, **WHY)
    with pytest.raises(VerbRefused, match="nothing to pause"):
        pause(run_id, **WHY)


def test_a_run_that_needs_a_person_stays_asleep_when_it_is_resumed(
    known: Known, actor: Actor
) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    pause(run_id, **WHY)
    resume(run_id, **WHY)
    assert run_of(run_id).wake_at is None


def test_a_pause_that_a_hold_came_before_is_told_so(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    write = transitions.write

    def held_meanwhile(draft: Draft) -> bool:
        hold("run", str(run_id), by=WHY["by"], reason="first")
        return write(draft)

    with (
        patch("sagas.operate.verb.transitions.write", held_meanwhile),
        pytest.raises(VerbRefused, match="is paused already"),
    ):
        pause(run_id, **WHY)
    assert not AuditEntry.objects.filter(verb="pause").exists()

"""A partner that was not even asked: the step waits, and that costs it nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F

from sagas.define.backoff import Retry
from sagas.define.outcome import Done, Refused, Unknown
from sagas.define.saga import Definition
from sagas.define.step import Errors
from sagas.models import Event, Run, Step, Worker
from sagas.run import heartbeat
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.run.test_recover import settled, wake_in
from tests.sagas.stage import BACKWARD, Actor, Known, begun, carried, lapse, row, status, told

pytestmark = pytest.mark.django_db


class Down(Exception):
    retry_after: float | None = None


class Open(Down):
    """A circuit breaker let nobody ask."""

    retry_after = 50.0


_ERRORS = Errors(retry=Down, wait=Open)


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def saga_of(known: Known, actor: Actor, **options: Any) -> Definition:
    """Two steps of the partner ``bank``, which may each be tried once."""
    once: dict[str, Any] = {"retry": Retry(attempts=1), "partner": "bank", **options}
    steps = [actor.step(name, undo={"retry": Retry(attempts=1)}, **once) for name in "ab"]
    return known(flow(steps, errors=_ERRORS))


def later(run_id: UUID, seconds: float) -> None:
    """Let time pass for a run."""
    gone = timedelta(seconds=seconds)
    Step.objects.filter(run=run_id).update(
        due_at=F("due_at") - gone, started_at=F("started_at") - gone
    )
    Run.objects.filter(pk=run_id).update(wake_at=F("wake_at") - gone, revision=F("revision") + 1)


def once_more(post: Post, run_id: UUID) -> None:
    """Its time has come, and it is asked again."""
    lapse(run_id)
    sweep()
    while post.deliver():
        pass


def test_the_step_waits_for_its_time_and_holds_no_worker(known: Known, actor: Actor) -> None:
    actor.answers["do a"] = Open("the breaker is open")
    run_id = begun(saga_of(known, actor))
    assert carried(run_id, "a", "b") == []
    found = row(run_id, "a")
    assert (found.status, found.worker, found.limit_at) == ("waiting", "", None)
    assert (found.attempt, found.tries, found.error) == (1, 0, "Open: the breaker is open")
    assert 50 <= found.waited <= 60
    assert wake_in(run_id) <= found.waited
    assert Event.objects.get(run=run_id, new="waiting").data == {
        "reason": "Open: the breaker is open",
        "not_asked": "bank",
    }


def test_however_long_the_partner_is_away_no_attempt_is_spent_and_the_run_succeeds(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = actor.answers["do b"] = Open()
    run_id = begun(saga_of(known, actor))
    for step in "ab":
        for _ in range(5):
            once_more(post, run_id)
            assert (row(run_id, step).status, row(run_id, step).tries) == ("waiting", 0)
        actor.answers[f"do {step}"] = None
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    assert actor.calls.count("do a") == 6
    assert told(run_id).problems == []


def test_nor_does_its_time_budget_end_meanwhile(known: Known, actor: Actor, post: Post) -> None:
    """Tried for 8 of its 10 seconds, then away for a minute, then held for one more."""
    retry = Retry(attempts=None, base=0.5, cap=0.5, total=10.0)
    run_id = begun(saga_of(known, actor, retry=retry))
    actor.answers["do a"] = Down()
    carried(run_id, "a")
    later(run_id, 0.0)
    Step.objects.filter(run=run_id).update(started_at=F("started_at") - timedelta(seconds=8))
    for answer in (Open(), Down()):
        actor.answers["do a"] = answer
        later(run_id, 60.0)
        assert sweep() == 1
        while post.deliver():
            pass
    assert row(run_id, "a").status == "ready"
    assert 119 <= row(run_id, "a").waited <= 122
    Step.objects.filter(run=run_id).update(started_at=F("started_at") - timedelta(seconds=3))
    once_more(post, run_id)
    assert status(run_id) == "compensated"


def test_but_its_deadline_does(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do b"] = Open()
    run_id = begun(saga_of(known, actor), deadline=timedelta(hours=1))
    carried(run_id, "a", "b")
    Run.objects.filter(pk=run_id).update(deadline_at=F("created_at"))
    settled(post, run_id)
    assert status(run_id) == "compensated"
    assert actor.calls == ["do a", "do b", "undo a"]


def test_a_compensation_that_asked_nobody_needs_no_person(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers |= {"do b": Refused("no"), "undo a": Open()}
    run_id = begun(saga_of(known, actor))
    for _ in range(3):
        once_more(post, run_id)
        found = row(run_id, "a", BACKWARD)
        assert (found.status, found.tries) == ("waiting", 0)
    actor.answers["undo a"] = None
    settled(post, run_id)
    assert status(run_id) == "compensated"


def test_what_may_have_happened_is_asked_again_later(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers |= {"do a": Unknown("reset"), "verify a": Open(), "do b": None}
    saga = saga_of(known, actor, verified=True, verify_retry=Retry(attempts=1))
    run_id = begun(saga)
    for _ in range(3):
        once_more(post, run_id)
        found = row(run_id, "a")
        assert (found.status, found.in_doubt, found.probes) == ("unknown", True, 0)
    actor.answers["verify a"] = Done(True)
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    assert actor.calls.count("do a") == 1


def test_what_an_atomic_step_wrote_is_rolled_back(known: Known, actor: Actor) -> None:
    def written(run: Any) -> None:
        Worker.objects.create(name="x", host="h", pid=1, lease_until=run.now)
        raise Open

    actor.answers["do a"] = written
    run_id = begun(known(flow([actor.step("a", atomic=True)], errors=_ERRORS)))
    carried(run_id, "a")
    assert (row(run_id, "a").status, row(run_id, "a").tries) == ("waiting", 0)
    assert not Worker.objects.filter(name="x").exists()


def test_a_message_that_comes_too_early_asks_nobody(known: Known, actor: Actor) -> None:
    actor.answers["do a"] = Open()
    run_id = begun(saga_of(known, actor))
    carried(run_id, "a")
    heartbeat.ensure()
    carried(run_id, "a")
    assert actor.calls == ["do a"]
    lapse(run_id)
    carried(run_id, "a")
    assert actor.calls == ["do a", "do a"]

"""What is held is not claimed and not sent; no answer is lost; what is let go goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from celery import current_app
from django.db import connection, transaction
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from sagas import transitions
from sagas.api import Run as Seen
from sagas.api import send_signal
from sagas.define.draft import Draft
from sagas.define.outcome import Refused, Wait
from sagas.define.saga import Definition
from sagas.models import Event, Hold, Run, Step, Worker
from sagas.run import heartbeat
from sagas.run.recover import nudge, sweep
from sagas.run.start import start
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, fork
from tests.sagas.holding import let_go, stopped, stopped_meanwhile
from tests.sagas.order import Paused
from tests.sagas.run.test_recover import died, settled, wake_in
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    elsewhere,
    lapse,
    row,
    run_of,
    states,
    status,
    told,
)
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
_SECOND = timedelta(seconds=1)
#: Every kind of hold; ``target_of`` says on what each must be to stop the saga below.
_KINDS = ["run", "saga", "queue", "partner"]


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def saga_of(actor: Actor, names: str = "ab", **options: Any) -> Definition:
    """A saga of which every step is on the queue ``payments`` and of the partner ``bank``."""
    nodes = [actor.step(name, queue="payments", partner="bank") for name in names]
    return flow(nodes, **options)


def stop(kind: str, run_id: UUID) -> Hold:
    return stopped(kind, target_of(kind, run_id))


def target_of(kind: str, run_id: UUID) -> str:
    return {"run": str(run_id), "saga": "flow", "queue": "payments", "partner": "bank"}[kind]


# --- claims --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("saga", ["flow/1", ""], ids=["first claim", "planned claim"])
def test_a_message_for_a_held_step_does_nothing_and_is_the_last_of_its_chain(
    known: Known, actor: Actor, kind: str, saga: str
) -> None:
    run_id = begun(known(saga_of(actor)))
    stop(kind, run_id)
    assert carried(run_id, "a", "b", saga=saga) == []
    assert (actor.calls, status(run_id)) == ([], "pending")
    let_go()
    carried(run_id, "a", "b", saga=saga)
    assert (actor.calls, status(run_id)) == (["do a", "do b"], "succeeded")


@pytest.mark.parametrize("kind", _KINDS)
def test_a_held_compensation_is_not_called(known: Known, actor: Actor, kind: str) -> None:
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(saga_of(actor, hop=True)))
    carried(run_id, "a")
    carried(run_id, "b")
    stop(kind, run_id)
    assert carried(run_id, "a", way=BACKWARD, epoch=2) == []
    assert (actor.calls, states(run_id, BACKWARD)) == (["do a", "do b"], {"a": "ready"})
    let_go()
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert status(run_id) == "compensated"


@pytest.mark.parametrize(
    ("kind", "target"),
    [("saga", "other"), ("queue", "other"), ("partner", "other"), ("run", UUID(int=9))],
)
def test_a_hold_on_something_else_stops_nothing(
    known: Known, actor: Actor, kind: str, target: object
) -> None:
    run_id = begun(known(saga_of(actor)))
    stopped(kind, target)
    carried(run_id, "a", "b")
    assert (actor.calls, status(run_id)) == (["do a", "do b"], "succeeded")


def test_steps_that_name_no_queue_are_stopped_by_a_hold_on_celerys_default_one(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    stopped("queue", current_app.conf.task_default_queue)
    carried(run_id, "a")
    assert actor.calls == []


def test_a_lost_attempt_is_not_taken_over_while_it_is_held(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(saga_of(actor)))
    died(run_id, "a")
    stop("saga", run_id)
    lapse(run_id)
    carried(run_id, "a")
    assert row(run_id, "a").attempt == 1
    let_go()
    settled(post, run_id)
    assert (row(run_id, "a").attempt, status(run_id)) == (2, "succeeded")


def test_a_held_run_that_is_overdue_does_not_turn_back_until_it_is_let_go(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(saga_of(actor, hop=True)), deadline=timedelta(hours=1))
    carried(run_id, "a")
    stop("run", run_id)
    Run.objects.filter(pk=run_id).update(deadline_at=F("created_at"))
    assert carried(run_id, "b") == []
    assert (status(run_id), run_of(run_id).halt) == ("running", "")
    let_go()
    settled(post, run_id)
    assert (status(run_id), run_of(run_id).halt) == ("compensated", "deadline")


# --- what is in flight ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", _KINDS)
def test_what_is_in_flight_finishes_and_the_worker_stops_there(
    known: Known, actor: Actor, post: Post, kind: str
) -> None:
    run_id = begun(known(saga_of(actor)))
    post.drop_all()
    sent = post.count()
    actor.answers["do a"] = lambda run: stop(kind, run_id) and None
    assert carried(run_id, "a", "b") == []
    assert actor.calls == ["do a"]
    assert states(run_id) == {"a": "succeeded", "b": "ready"}
    assert post.count() == sent
    assert told(run_id).problems == []
    let_go()
    settled(post, run_id)
    assert (actor.calls, status(run_id)) == (["do a", "do b"], "succeeded")


def test_a_refusal_in_flight_turns_a_held_run_back_and_undoes_nothing_yet(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(saga_of(actor, hop=True)))
    carried(run_id, "a")
    actor.answers["do b"] = lambda run: (stop("saga", run_id), Refused("no"))[1]
    carried(run_id, "b")
    assert (status(run_id), states(run_id, BACKWARD)) == ("compensating", {"a": "ready"})
    assert actor.calls == ["do a", "do b"]
    let_go()
    settled(post, run_id)
    assert (status(run_id), actor.calls[2:]) == ("compensated", ["undo a"])


def test_a_chain_that_would_hop_to_a_held_step_ends(known: Known, actor: Actor) -> None:
    steps = [actor.step("a"), actor.step("b", queue="payments", partner="bank")]
    run_id = begun(known(flow(steps)))
    stopped("partner", "bank")
    assert carried(run_id, "a", "b") == []
    assert states(run_id) == {"a": "succeeded", "b": "ready"}


def test_of_two_branches_only_the_one_that_is_not_held_goes_on(
    known: Known, actor: Actor, post: Post
) -> None:
    held, free = actor.step("b", partner="bank"), actor.step("c")
    run_id = begun(known(flow([actor.step("a"), fork(held, free), actor.step("d")])))
    post.drop_all()
    stopped("partner", "bank")
    sent = post.count()
    carried(run_id, "a")
    assert actor.calls == ["do a", "do c"]
    assert (states(run_id)["b"], post.count()) == ("ready", sent)
    let_go()
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_signal_for_a_held_run_is_recorded_and_what_follows_waits(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = paid
    run_id = begun(known(saga_of(actor)), key="order:1")
    carried(run_id, "a")
    stop("run", run_id)
    sent = post.count()
    assert send_signal("paid", "order:1", {"amount": 7})
    assert states(run_id) == {"a": "waiting", "b": "pending"}
    lapse(run_id)
    assert (sweep(), post.count()) == (0, sent)
    let_go()
    settled(post, run_id)
    assert status(run_id) == "succeeded"
    assert row(run_id, "a").result == {"amount": 7}


def paid(run: Seen[Any]) -> Any:
    """What a step answers that waits for ``paid``."""
    return Wait(None, "paid") if run.signal is None else run.signal.payload


# --- a hold that comes between -------------------------------------------------------------


class Between:
    """Stands in for the record's writer and places a hold just before it writes.

    Args:
        before: what happens before the nth write of an answer, by n.
    """

    def __init__(self, before: dict[int, Callable[[], object]]) -> None:
        self._before, self._real = before, transitions.write
        self.answers = 0

    def __call__(self, draft: Draft) -> bool:
        if any(event.old == "in_flight" for event in draft.events):
            self.answers += 1
            self._before.get(self.answers, lambda: None)()
        return self._real(draft)


def answered_with(run_id: UUID, step: str, before: dict[int, Callable[[], object]]) -> int:
    """Carry a message. Gives how often it was tried to write an answer."""
    between = Between(before)
    with patch.object(transitions, "write", between):
        assert carried(run_id, step, "b") == []
    return between.answers


def moved(run_id: UUID) -> None:
    """Somebody else moves the run."""
    (outcome,) = at_once(lambda: Run.objects.filter(pk=run_id).update(revision=F("revision") + 1))
    assert outcome == 1


def stopped_with_its_answer(run_id: UUID, actor: Actor) -> None:
    """The first step's answer is recorded once, and the second waits, unclaimed."""
    assert actor.calls == ["do a"]
    assert states(run_id) == {"a": "succeeded", "b": "ready"}
    assert row(run_id, "b").attempt == 0
    assert Event.objects.filter(run=run_id, step="a", new="succeeded").count() == 1
    assert told(run_id).problems == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", _KINDS)
def test_a_hold_between_plan_and_write_stops_the_claim_and_not_the_answer(
    known: Known, actor: Actor, post: Post, kind: str
) -> None:
    run_id = begun(known(saga_of(actor)))
    place = partial(stopped_meanwhile, kind, target_of(kind, run_id))
    assert answered_with(run_id, "a", {1: place}) == 2
    stopped_with_its_answer(run_id, actor)
    let_go()
    settled(post, run_id)
    assert (actor.calls, status(run_id)) == (["do a", "do b"], "succeeded")


@pytest.mark.django_db(transaction=True)
def test_nor_does_one_that_comes_under_the_runs_lock_lose_the_answer(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(saga_of(actor)))
    place = partial(stopped_meanwhile, "partner", "bank")
    assert answered_with(run_id, "a", {1: partial(moved, run_id), 2: place}) == 3
    stopped_with_its_answer(run_id, actor)


@pytest.mark.django_db(transaction=True)
def test_nor_the_answer_of_an_atomic_step_with_its_writes(known: Known, actor: Actor) -> None:
    first = actor.step("a", atomic=True)
    actor.answers["do a"] = lambda run: (
        Worker.objects.create(name="x", host="h", pid=1, lease_until=timezone.now()).pid
    )
    run_id = begun(known(flow([first, actor.step("b", partner="bank")])))
    place = partial(stopped_meanwhile, "partner", "bank")
    assert answered_with(run_id, "a", {1: place}) == 2
    stopped_with_its_answer(run_id, actor)
    assert Worker.objects.filter(name="x").exists()


@pytest.mark.django_db(transaction=True)
def test_nor_a_signal_that_was_there_before_it_was_waited_for(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = paid
    run_id = begun(known(saga_of(actor)), key="order:1")
    assert not send_signal("paid", "order:1", 7)
    place = partial(stopped_meanwhile, "partner", "bank")
    assert answered_with(run_id, "a", {1: place}) == 2
    assert (actor.calls, states(run_id)) == (["do a"], {"a": "waiting", "b": "pending"})
    let_go()
    settled(post, run_id)
    assert (status(run_id), row(run_id, "a").result) == ("succeeded", 7)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", _KINDS)
def test_a_hold_between_a_read_and_a_planned_claim_stops_it(
    known: Known, actor: Actor, kind: str
) -> None:
    run_id = begun(known(saga_of(actor)))
    real = transitions.write

    def late(draft: Draft) -> bool:
        if not Hold.objects.exists():
            stopped_meanwhile(kind, target_of(kind, run_id))
        return real(draft)

    with patch.object(transitions, "write", late):
        assert carried(run_id, "a", "b", saga="") == []
    assert (actor.calls, status(run_id)) == ([], "pending")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("saga", ["flow/1", ""], ids=["first claim", "planned claim"])
def test_a_claim_that_sees_a_committed_hold_is_none(known: Known, actor: Actor, saga: str) -> None:
    """Two transactions: until the hold has committed nobody can see it; then everybody does."""
    flows = known(saga_of(actor, hop=True))
    before, after, paused = begun(flows), begun(flows), Paused()

    def hold() -> None:
        with transaction.atomic():
            stopped("saga", "flow")
            paused(None)

    with ThreadPoolExecutor(1) as other:
        placing = other.submit(elsewhere, hold)
        paused.until_called()
        carried(before, "a", saga=saga)
        paused.let_go()
        placing.result(10)
    carried(after, "a", saga=saga)
    assert (row(before, "a").status, row(after, "a").status) == ("succeeded", "ready")
    assert actor.calls == ["do a"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", _KINDS)
def test_of_a_hold_and_a_worker_at_the_same_moment_either_comes_first(
    known: Known, actor: Actor, kind: str, post: Post
) -> None:
    saga = known(saga_of(actor, "abc"))
    for _ in range(15):
        actor.calls.clear()
        run_id = begun(saga)
        outcomes = at_once(
            partial(stop, kind, run_id), partial(carried, run_id, "a", "b", "c", saga="")
        )
        assert not [o for o in outcomes if isinstance(o, Exception)], outcomes
        found = list(states(run_id).values())
        done = found.count("succeeded")
        assert found == (["succeeded"] * done + ["ready", "pending", "pending"])[:3]
        assert actor.calls == [f"do {name}" for name in "abc"[:done]]
        assert told(run_id).problems == []
        if done < 3:
            carried(run_id, "abc"[done])
            assert len(actor.calls) == done
        let_go()
        settled(post, run_id)
        assert status(run_id) == "succeeded"


# --- sending and looking -------------------------------------------------------------------


def test_nothing_is_sent_for_a_run_that_starts_while_it_is_held(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(saga_of(actor))
    stopped("queue", "payments")
    begun(saga)
    assert post.count() == 0


@pytest.mark.django_db(transaction=True)
def test_nor_on_its_commit(known: Known, actor: Actor, post: Post) -> None:
    saga = known(saga_of(actor))
    stopped("saga", "flow")
    start(saga, Payload(), key="1")
    assert post.count() == 0
    let_go()
    start(saga, Payload(), key="2")
    assert post.count() == 1


@pytest.mark.parametrize("kind", _KINDS)
def test_a_sweep_sends_nothing_for_a_held_run_and_looks_again_late(
    known: Known, actor: Actor, post: Post, kind: str
) -> None:
    run_id = begun(known(saga_of(actor)))
    post.drop_all()
    sent = post.count()
    stop(kind, run_id)
    lapse(run_id)
    with override_settings(SAGAS={"HELD_LOOK_SECONDS": 1000}):
        assert (sweep(), nudge(run_id), post.count()) == (0, False, sent)
    assert 999 < wake_in(run_id) < 2001
    assert sweep() == 0


def test_the_longer_a_run_is_held_the_later_it_is_looked_at(known: Known, actor: Actor) -> None:
    run_id = begun(known(saga_of(actor)))
    stop("run", run_id)
    for overdue, least, most in ((10, 300, 600), (1000, 1000, 2000), (90_000, 3000, 6000)):
        past = timezone.now() - overdue * _SECOND
        Step.objects.filter(name="a").update(due_at=past)
        Run.objects.update(wake_at=past, revision=F("revision") + 1)
        assert sweep() == 0
        assert least - 2 <= wake_in(run_id) <= most + 2


def test_many_held_runs_do_not_keep_the_others_waiting(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(saga_of(actor))
    held = [begun(saga) for _ in range(6)]
    free = begun(known(flow(actor.steps("x"), name="free")))
    stopped("saga", "flow")
    for run_id in (*held, free):
        lapse(run_id)
    Run.objects.filter(pk=free).update(wake_at=timezone.now())  # the last in the row
    with override_settings(SAGAS={"SWEEP_BATCH": 2}):
        assert [sweep() for _ in range(4)] == [0, 0, 0, 1]
        assert all(wake_in(run_id) > 250 for run_id in held)
        lapse(free)
        assert sweep() == 1


def test_a_held_step_that_is_not_due_yet_is_looked_at_when_it_is(
    known: Known, actor: Actor
) -> None:
    actor.answers["do a"] = Wait(50.0)
    run_id = begun(known(saga_of(actor)))
    carried(run_id, "a")
    stop("run", run_id)
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert 40 < wake_in(run_id) <= 50


def test_a_held_run_that_is_overdue_is_looked_at_late_too(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = Wait(None, "paid", "order:1")
    run_id = begun(known(saga_of(actor)), deadline=timedelta(hours=1))
    carried(run_id, "a")
    stop("run", run_id)
    past = timezone.now() - _SECOND
    Run.objects.update(deadline_at=past, wake_at=past)
    post.drop_all()
    sent = post.count()
    assert (sweep(), post.count()) == (0, sent)
    assert wake_in(run_id) > 250
    let_go()
    lapse(run_id)
    Run.objects.update(wake_at=past)
    assert sweep() == 1


def test_a_free_branch_of_a_run_is_looked_at_as_ever(known: Known, actor: Actor) -> None:
    held, free = actor.step("a", partner="bank"), actor.step("b")
    run_id = begun(known(flow([fork(held, free)])))
    stopped("partner", "bank")
    lapse(run_id)
    assert sweep() == 1
    assert wake_in(run_id) <= 60


# --- what it costs -------------------------------------------------------------------------


@pytest.mark.parametrize(("saga", "most"), [("flow/1", 5), ("", 6)])
def test_without_a_hold_in_force_no_statement_is_added(
    known: Known, actor: Actor, saga: str, most: int
) -> None:
    lifted = stopped("saga", "flow")
    let_go()
    assert lifted.pk
    run_id = begun(known(saga_of(actor, "abcd")))
    heartbeat.ensure()
    with counted() as statements:
        carried(run_id, "a", "b", "c", "d", saga=saga)
    assert status(run_id) == "succeeded"
    assert len(statements) == most, statements


def test_a_message_for_a_held_step_costs_two_statements(known: Known, actor: Actor) -> None:
    run_id = begun(known(saga_of(actor)))
    stop("saga", run_id)
    heartbeat.ensure()
    with counted() as statements:
        carried(run_id, "a", "b")
    assert len(statements) == 2, statements


def test_a_claim_finds_the_holds_in_force_by_their_index_however_many_are_lifted() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sagas_hold (kind, target, reason, placed_by, lifted_by, lifted_at) "
            "SELECT 'saga', n::text, 'r', 'ann', 'ann', now() FROM generate_series(1, 5000) n"
        )
        cursor.execute("ANALYZE sagas_hold")
        cursor.execute(
            "EXPLAIN SELECT 1 FROM sagas_hold h WHERE h.lifted_at IS NULL "
            "AND h.kind || ':' || h.target = ANY(ARRAY['saga:flow'])"
        )
        plan = " ".join(row[0] for row in cursor.fetchall())
    assert "sagas_hold_once" in plan, plan

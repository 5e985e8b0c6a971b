"""Recovery: what was lost is sent again, what lapsed is taken over, what lives is renewed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from threading import Event as Flag
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.test import override_settings
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from sagas import db, record, transitions
from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.outcome import Refused, RetryLater, Unknown, Wait
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.identity import identity
from sagas.models import Hold, Run, Step, Worker
from sagas.run import dispatch, heartbeat
from sagas.run.dispatch import attempt, claim
from sagas.run.publishing import breaker
from sagas.run.queues import default_queue
from sagas.run.recover import Sweep, nudge, sweep
from sagas.run.workers import pin
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.stage import (
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    message,
    row,
    run_of,
    states,
    status,
    told,
)
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
_SECOND = timedelta(seconds=1)


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has a post office and a registry of its own, and what a worker says is new."""
    monkeypatch.setattr(heartbeat, "_queues", None)
    monkeypatch.setattr(heartbeat, "_processes", None)
    monkeypatch.setattr(dispatch, "_warned", set())


def died(run_id: UUID, step: str) -> None:
    """A worker claims a step and dies."""
    with patch("sagas.run.dispatch.attempt", return_value=None):
        carried(run_id, step)


def settled(post: Post, run_id: UUID, rounds: int = 60) -> None:
    """Let time pass and workers work until nothing is left to do."""
    for _ in range(rounds):
        lapse(run_id)
        if not sweep():
            return
        while post.deliver():
            pass
    raise AssertionError("it does not come to rest")


# --- sweeping ------------------------------------------------------------------------------


def test_a_lost_first_message_is_sent_again(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert sweep() == 0  # its first message may still be on its way
    lapse(run_id)
    assert (sweep(), post.count()) == (1, 1)
    assert post.deliver()
    assert status(run_id) == "succeeded"


def test_a_message_is_sent_again_once_in_its_interval(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    with override_settings(SAGAS={"RESEND_SECONDS": 100}):
        assert [sweep() for _ in range(5)] == [1, 0, 0, 0, 0]
    wake = run_of(run_id).wake_at
    assert wake is not None
    assert 99 * _SECOND < wake - timezone.now() < 201 * _SECOND


@pytest.mark.parametrize("failing", ["sagas.record.glance", "sagas.transitions.look_again"])
def test_a_database_that_fails_amid_a_sweep_puts_no_run_off(
    known: Known, actor: Actor, post: Post, failing: str
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    sweeping = Sweep()
    with patch(failing, side_effect=OperationalError), pytest.raises(OperationalError):
        sweeping()
    assert [sweeping(), sweeping()] == [1, 0]


@pytest.mark.django_db(transaction=True)
def test_four_sweepers_at_the_same_moment_send_every_lost_message_once(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow([fork(*actor.steps("ab"))]))
    runs = [begun(saga) for _ in range(25)]
    post.drop_all()
    sent = post.count()
    for run_id in runs:
        lapse(run_id)
    for _ in range(3):
        assert not [e for e in at_once(sweep, sweep, sweep, sweep) if isinstance(e, Exception)]
    assert post.count() - sent == 2 * len(runs)


def test_a_sweep_takes_a_batch_at_a_time_the_oldest_first(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(5)]
    for age, run_id in enumerate(runs):
        lapse(run_id)
        Run.objects.filter(id=run_id).update(wake_at=F("wake_at") - age * _SECOND)
    with override_settings(SAGAS={"SWEEP_BATCH": 2}):
        sent = [sweep()]
        while post.deliver():
            pass
        done = {run.pk for run in Run.objects.filter(status="succeeded")}
        sent += [sweep(), sweep(), sweep()]
    assert sent == [2, 2, 1, 0]
    assert done == set(runs[-2:])


def test_a_sweep_gets_past_a_run_that_cannot_be_looked_at(
    known: Known, actor: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(3)]
    for run_id in runs:
        lapse(run_id)
    view_of = record.view_of

    def odd(run_id: UUID, rows: list[Any]) -> RunView:
        if run_id == runs[1]:
            raise ValueError("odd")
        return view_of(run_id, rows)

    with patch("sagas.record.view_of", odd):
        assert sweep() == 2
    assert f"Run {runs[1]} cannot be looked at" in caplog.text


def test_timers_that_are_due_at_one_moment_are_sent_without_a_pause(
    known: Known, actor: Actor, post: Post
) -> None:
    """400 of them held up another timer for 9.4 s: a batch a second."""
    saga = known(flow(actor.steps("a")))
    herd, other = [begun(saga) for _ in range(45)], begun(saga)
    post.drop_all()
    lapse(other)
    for run_id in herd:
        lapse(run_id)
    Run.objects.filter(id__in=herd).update(wake_at=F("wake_at") - _SECOND)
    sweeping, rounds = Sweep(), list[int]()
    with override_settings(SAGAS={"SWEEP_BATCH": 10}):
        while not rounds or sweeping.more:
            rounds.append(sweeping())
    assert rounds == [10, 10, 10, 10, 6]
    while post.deliver():
        pass
    assert status(other) == "succeeded"


def test_what_is_due_but_held_keeps_no_full_batch_from_going_on(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(3)]
    for run_id in runs:
        lapse(run_id)
    Hold.objects.create(kind="run", target=str(runs[0]), reason="x", placed_by="ann")
    sweeping = Sweep()
    with override_settings(SAGAS={"SWEEP_BATCH": 2}):
        assert sum(sweeping() for _ in range(2)) == 2
        assert not sweeping.more


@pytest.mark.parametrize("batch", [2, 3])
def test_a_broker_that_is_away_ends_the_round_though_the_batch_was_full(
    known: Known, actor: Actor, post: Post, batch: int
) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(3):
        lapse(begun(saga))
    sweeping = Sweep()
    with (
        override_settings(SAGAS={"SWEEP_BATCH": batch}),
        patch("sagas.run.send.canvas", side_effect=OSError("no route")),
    ):
        assert (sweeping(), sweeping.more) == (0, False)


def test_a_sweep_costs_as_many_statements_however_many_runs_it_looks_at(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("a")))
    costs = []
    for runs in (1, 7):
        for _ in range(runs):
            lapse(begun(saga))
        with counted() as statements:
            assert sweep() == runs
        costs.append(len(statements))
    assert costs == [4, 4]  # they are taken, read, put off; and workers are asked for


def test_a_retry_is_sent_when_it_is_due_and_not_before(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = RetryLater("busy", 20.0)
    run_id = begun(known(flow([actor.step("a", retry=Retry(attempts=2))])))
    carried(run_id, "a")
    assert sweep() == 0
    assert carried(run_id, "a") == []
    assert actor.calls == ["do a"]
    lapse(run_id)
    assert sweep() == 1
    assert post.deliver()
    assert actor.calls == ["do a", "do a"]


def test_a_wait_is_ended_by_the_sweep(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do a"] = lambda run: Wait(20.0) if run.attempt == 1 else None
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    assert (states(run_id)["a"], sweep()) == ("waiting", 0)
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_lapsed_lease_is_taken_over(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    died(run_id, "a")
    assert sweep() == 0
    settled(post, run_id)
    assert row(run_id, "a").attempt == 2
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_a_lost_compensation_is_taken_over(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    carried(run_id, "b")
    settled(post, run_id)
    assert actor.calls == ["do a", "do b", "undo a"]
    assert status(run_id) == "compensated"


def test_all_branches_that_were_lost_are_sent(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow([fork(*actor.steps("abc"))])))
    lapse(run_id)
    sweep()
    assert post.count() == 3
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_a_deadline_wakes_a_run_that_waits_for_something_later(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do b"] = Wait(3600.0)
    run_id = begun(known(flow(actor.steps("ab"))), deadline=timedelta(seconds=60))
    carried(run_id, "a")
    assert wake_in(run_id) <= 61
    Run.objects.update(deadline_at=F("created_at"), wake_at=F("created_at"))
    assert sweep() == 1
    while post.deliver():
        pass
    assert actor.calls == ["do a", "do b", "undo a"]
    assert (status(run_id), run_of(run_id).halt) == ("compensated", "deadline")


def test_after_the_pivot_a_deadline_wakes_nothing(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Wait(3600.0)
    saga = known(flow([pivot(actor.step("p")), actor.step("b")]))
    run_id = begun(saga, deadline=timedelta(seconds=60))
    carried(run_id, "p")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert wake_in(run_id) > 3000


@pytest.mark.parametrize("ending", ["succeeded", "compensated", "needs_attention"])
def test_nothing_is_sent_for_a_run_that_rests(
    known: Known, actor: Actor, post: Post, ending: str
) -> None:
    if ending != "succeeded":
        actor.answers["do b"] = Refused("no")
    nodes = actor.steps("ab")
    run_id = begun(known(flow([pivot(nodes[0]), nodes[1]] if ending[0] == "n" else nodes)))
    carried(run_id, "a")
    assert status(run_id) == ending
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert (sweep(), post.count()) == (0, 0)
    nudge(run_id)
    assert post.count() == 0


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
def test_a_run_whose_definition_is_gone_is_parked_by_the_sweep(known: Known, actor: Actor) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    assert sweep() == 0
    assert status(run_id) == "needs_attention"


def test_a_broker_that_is_away_costs_a_wait_and_nothing_else(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    lapse(run_id)
    with patch("sagas.run.send.canvas", side_effect=OSError("no route")):
        assert sweep() == 0
    breaker.reset()  # by then some seconds have passed
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_sweeping_twice_does_nothing_twice(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do b"] = lambda run: Unknown("reset") if run.attempt < 3 else None
    run_id = begun(known(flow(actor.steps("abc"))))
    for _ in range(8):
        lapse(run_id)
        sweep()
        lapse(run_id)
        sweep()
        while post.deliver(copies=2):
            pass
    assert actor.calls == ["do a", "do b", "do b", "do b", "do c"]
    assert status(run_id) == "succeeded"


def test_a_nudge_for_a_run_that_does_not_exist_does_nothing(post: Post) -> None:
    assert not nudge(uuid4())
    assert post.count() == 0


# --- old snapshots -------------------------------------------------------------------------


@pytest.fixture
def old_snapshot(transactional_db: None) -> Iterator[None]:
    """Somebody reads in a transaction and leaves it open. The table is new: no test has left a row
    in it that was rolled back, and that a look would have to pass.
    """
    db.execute("TRUNCATE sagas_run CASCADE")
    with psycopg.connect(_conninfo()) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute("SELECT count(*) FROM sagas_run")
        yield
        reader.rollback()


def _conninfo() -> str:
    given = connection.get_connection_params()
    names = ("dbname", "user", "password", "host", "port")
    return make_conninfo(**{name: given[name] for name in names if given.get(name)})


_ENDED_RUNS = int(os.environ.get("OLD_SNAPSHOT_RUNS", "3000"))  # 300000 shows what was measured
_ENDED = """
WITH runs AS (
  INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
    revision, halt, attention, error_group, owner, wake_at, created_at)
  SELECT gen_random_uuid(), 'flow', 1, '', gen_random_uuid(), '{}', 'running', 1, 0, '', '', '',
    '', clock_timestamp() - interval '90 seconds', now()
  FROM generate_series(1, %(runs)s))
SELECT 1"""


@pytest.mark.django_db(transaction=True)
def test_a_look_costs_the_same_however_many_runs_have_ended_under_an_old_snapshot(
    known: Known, actor: Actor, old_snapshot: None
) -> None:
    """300,000 of them cost each look 16,397 buffers: their index entries are kept."""
    sweeping = Sweep()
    sweeping()
    # The server's own housekeeping may come in between and cost one look more, never each of them.
    plans = []
    for _ in range(3):
        costs = []
        for runs in (_ENDED_RUNS // 10, _ENDED_RUNS):
            db.execute(_ENDED, {"runs": runs})
            db.execute(
                "UPDATE sagas_run SET wake_at = NULL, status = 'succeeded', finished_at = now()"
            )
            sweeping()
            plans.append(_plan_of_a_look(sweeping._begin))
            costs.append(_buffers(plans[-1]))
        if costs[0] < 50 and costs[1] <= costs[0] + 10:
            break
    else:
        pytest.fail(f"each look costs more than the one before: {plans}")
    assert _buffers(_plan_of_a_look(None)) > 5 * costs[1]  # they are there


def _plan_of_a_look(begin: datetime | None) -> Any:
    params: Any = {"batch": 100, "resend": 30, "settled": 60, "but": [], "begin": begin}
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {transitions._WAKE}", params)
        return cursor.fetchone()[0][0]["Plan"]


def _buffers(plan: Any) -> int:
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


@pytest.mark.django_db(transaction=True)
def test_where_a_sweep_begins_keeps_no_run_from_being_seen(
    known: Known, actor: Actor, post: Post
) -> None:
    """One that is locked at the moment is due all the while."""
    saga = known(flow(actor.steps("a")))
    first, second = begun(saga), begun(saga)
    _due_since(first, 100)
    _due_since(second, 80)
    sweeping, locked, swept = Sweep(), Flag(), Flag()

    def hold() -> None:
        with transaction.atomic():
            Run.objects.select_for_update().get(pk=first)
            locked.set()
            assert swept.wait(20)

    def look() -> list[int]:
        assert locked.wait(20)
        try:
            return [sweeping(), sweeping(), sweeping()]
        finally:
            swept.set()

    assert at_once(hold, look) == [None, [1, 0, 0]]
    assert [sweeping(), sweeping()] == [1, 0]


def test_a_run_that_a_long_transaction_has_written_is_found_by_a_look_from_the_start(
    known: Known, actor: Actor, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweeping = Sweep()
    sweeping()
    run_id = begun(known(flow(actor.steps("a"))))
    _due_since(run_id, 1000)
    assert sweeping() == 0
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 601)
    assert sweeping() == 1


def _due_since(run_id: UUID, seconds: int) -> None:
    lapse(run_id)
    Run.objects.filter(pk=run_id).update(wake_at=timezone.now() - seconds * _SECOND)


# --- queues that nobody reads ----------------------------------------------------------------


def lives(name: str, *queues: str, sagas: Sequence[Definition] | None = (), began: int = 0) -> None:
    """A worker beats that reads these queues and knows these sagas."""
    known = None if sagas is None else [pin(s.name, s.version, s.fingerprint) for s in sagas]
    now = timezone.now()
    Worker.objects.create(
        name=name,
        host="h",
        pid=1,
        started_at=now - began * _SECOND,
        lease_until=now + 30 * _SECOND,
        queues=list(queues),
        sagas=known,
    )


def test_nothing_is_sent_again_to_a_queue_that_no_living_worker_reads(
    known: Known, actor: Actor, post: Post
) -> None:
    """60 runs for an hour: no copies pile up, and a worker that appears gets them soon."""
    saga = known(flow([actor.step("a", queue="payments")]))
    lives("steps", "sagas", began=60)
    runs = [begun(saga) for _ in range(60)]
    sent, sweeping = post.count(), Sweep()
    for _ in range(20):
        for run_id in runs:
            lapse(run_id)
        assert sweeping() == 0
        assert min(wake_in(run_id) for run_id in runs) > 200
    assert post.count() == sent
    heartbeat.describe(["payments"], 1)
    heartbeat.beat()
    with override_settings(SAGAS={"DRAIN_PER_SECOND": 1e6}):
        appeared = Sweep(["payments"])
        assert appeared() + appeared() == 60
    while post.deliver():
        pass
    assert {run.status for run in Run.objects.all()} == {"succeeded"}


def test_a_branch_is_sent_though_nobody_reads_the_queue_of_another(
    known: Known, actor: Actor, post: Post
) -> None:
    lives("steps", "sagas")
    run_id = begun(known(flow([fork(actor.step("a", queue="payments"), actor.step("b"))])))
    post.drop_all()
    sent = post.count()
    lapse(run_id)
    assert sweep() == 1
    assert post.count() - sent == 1
    assert wake_in(run_id) < 61
    assert post.deliver()
    assert actor.calls == ["do b"]


@pytest.mark.parametrize("others", [[], [("old", [])]])
def test_where_workers_do_not_say_what_they_read_messages_are_sent(
    known: Known, actor: Actor, post: Post, others: list[tuple[str, list[str]]]
) -> None:
    for name, queues in others:
        lives(name, *queues)
    run_id = begun(known(flow([actor.step("a", queue="payments")])))
    lapse(run_id)
    assert sweep() == 1


def test_a_worker_that_is_not_the_first_to_read_a_queue_wakes_nothing(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow([actor.step("a", queue="payments")])))
    lapse(run_id)
    Run.objects.update(wake_at=timezone.now() + 500 * _SECOND)
    lives("other", "payments", began=60)
    heartbeat.describe(["payments"], 1)
    heartbeat.beat()
    assert Sweep(["payments"])() == 0
    assert wake_in(run_id) > 400


# --- sagas that this worker does not know ----------------------------------------------------


@contextmanager
def code_with(*sagas: Definition) -> Iterator[None]:
    """Work with the code of a worker that knows these sagas and no others."""
    with registry.isolated():
        registry._sagas.clear()
        for saga in sagas:
            registry.register(saga)
        yield


def test_a_worker_with_older_code_leaves_runs_to_those_who_know_them(
    actor: Actor, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    """They go on at once, as if it were not there, and it says so once."""
    old, new = flow(actor.steps("a")), flow(actor.steps("ab"), version=2)
    stale, fresh = Sweep(), Sweep()
    with code_with(old, new):
        runs = [begun(new) for _ in range(5)]
        post.drop_all()
    with code_with(old):
        for run_id in runs:
            lapse(run_id)
        Run.objects.update(created_at=timezone.now() - 3600 * _SECOND)
        lives("fresh", "sagas", sagas=[old, new])
        assert [stale() for _ in range(4)] == [0] * 4
        assert carried(runs[0], "a", saga="flow/2") == []  # its message comes to the stale one, too
    with code_with(old, new):
        assert fresh() == 5
        while post.deliver():
            pass
    assert {run.status for run in Run.objects.all()} == {"succeeded"}
    assert actor.calls == ["do a", "do b"] * 5
    said = [line for line in caplog.messages if "leaves runs of flow/2/" in line]
    assert len(said) == 1
    assert "Saga 'flow' has no version 2; it has 1." in said[0]


def test_a_run_that_comes_to_a_worker_which_does_not_know_it_is_looked_at_soon(
    actor: Actor, post: Post
) -> None:
    new = flow(actor.steps("a"), version=2)
    with code_with(new):
        run_id = begun(new)
    with code_with():
        assert wake_in(run_id) > 20
        assert carried(run_id, "a", saga="flow/2") == []
        assert not nudge(run_id)
    assert 0 < wake_in(run_id) <= 1
    with code_with(new):
        lapse(run_id)
        assert sweep() == 1


def test_a_run_whose_fingerprint_is_another_is_left_and_those_that_fit_are_taken(
    actor: Actor, post: Post
) -> None:
    before, after = flow(actor.steps("ab")), flow(actor.steps("ba"))
    with code_with(before):
        old = begun(before)
    with code_with(after):
        new = begun(after)
    lives("before", "sagas", sagas=[before])
    for run_id in (old, new):
        _due_since(run_id, 5000)
    sweeping = Sweep()
    with code_with(after), override_settings(SAGAS={"DEPLOY_SECONDS": 0}):
        assert (sweeping(), status(old)) == (1, "pending")
        sweeping.look_after_unknown()
    assert (status(old), run_of(old).attention) == ("pending", "")
    with code_with(before):
        assert Sweep()() == 1


@pytest.mark.parametrize(
    ("others", "due_for", "expected"),
    [
        ("nobody", 599, "pending"),
        ("nobody", 601, "needs_attention"),
        ("who knows it", 9000, "pending"),
        ("who knew it", 601, "needs_attention"),
        ("who does not know it", 601, "needs_attention"),
        ("who does not say", 9000, "pending"),
    ],
)
def test_a_run_needs_attention_once_nobody_has_known_it_for_long(
    actor: Actor, post: Post, others: str, due_for: int, expected: str
) -> None:
    """However old it is: all that know it may only be starting again."""
    saga = flow(actor.steps("a"), version=3)
    if others != "nobody":
        knows = {"who does not know it": (), "who does not say": None}.get(others, [saga])
        lives("other", "sagas", sagas=knows)
    if others == "who knew it":
        Worker.objects.update(lease_until=timezone.now() - _SECOND)
    with code_with(saga):
        run_id = begun(saga)
    Run.objects.update(created_at=timezone.now() - 90_000 * _SECOND)
    _due_since(run_id, due_for)
    sweeping = Sweep()
    with code_with():
        for _ in range(3):
            assert sweeping() == 0
            sweeping.look_after_unknown()
    assert status(run_id) == expected
    if expected == "needs_attention":
        assert "No saga is named 'flow'" in run_of(run_id).attention
    else:
        assert -wake_in(run_id) == pytest.approx(due_for, abs=5)


def test_runs_that_are_left_do_not_fill_a_batch(actor: Actor, post: Post) -> None:
    """The first that is met of a definition says what to leave from then on."""
    old, new = flow(actor.steps("a")), flow(actor.steps("a"), version=2)
    with code_with(old, new):
        for _ in range(4):
            _due_since(begun(new), 50)
        run_id = begun(old)
        lapse(run_id)
    sweeping = Sweep()
    with code_with(old), override_settings(SAGAS={"SWEEP_BATCH": 2}):
        assert [sweeping(), sweeping()] == [0, 1]
    assert Run.objects.filter(wake_at__lt=timezone.now() - 40 * _SECOND).count() == 4


# --- when it looks -------------------------------------------------------------------------


def wake_in(run_id: UUID) -> float:
    """Seconds until a sweep looks at a run."""
    wake_at = run_of(run_id).wake_at
    assert wake_at is not None
    return (wake_at - timezone.now()).total_seconds()


def test_a_live_attempt_is_looked_at_again_when_its_workers_lease_could_be_over(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow([actor.step("a", timeout=1000)])))
    died(run_id, "a")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert (sweep(), post.count()) == (0, 0)
    assert 20 < wake_in(run_id) <= 30
    assert row(run_id, "a").attempt == 1


def test_a_claim_of_a_run_that_slept_for_long_brings_its_look_forward(
    known: Known, actor: Actor
) -> None:
    """Else a worker lost in it would be missed until then."""
    actor.answers["do a"] = lambda run: Wait(9000.0) if run.attempt == 1 else None
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert wake_in(run_id) > 8000
    Step.objects.update(due_at=timezone.now() - _SECOND)
    died(run_id, "a")
    assert wake_in(run_id) <= 30


def test_a_message_that_may_wait_in_a_long_queue_is_given_twice_the_time(
    known: Known, actor: Actor, post: Post
) -> None:
    """A backlog must not be fed with copies of itself."""
    run_id = begun(known(flow(actor.steps("ab"))))
    for waiting, overdue, least, most in (
        (0, 9000, 30, 60),
        (100, 9000, 30, 60),
        (101, 5, 30, 60),
        (101, 100, 100, 200),
        (101, 9000, 300, 600),
    ):
        past = timezone.now() - overdue * _SECOND
        Step.objects.filter(name="a").update(due_at=past)
        Run.objects.update(wake_at=past, revision=F("revision") + 1)
        with patch("sagas.run.recover.depths", return_value={default_queue(): waiting}):
            assert sweep() == 1
        assert least - 2 <= wake_in(run_id) <= most


def test_a_long_queue_is_no_reason_to_look_later_at_what_waits_in_another(
    known: Known, actor: Actor, post: Post
) -> None:
    flooded = begun(known(flow([actor.step("a", queue="flooded")], "flooded")))
    other = begun(known(flow([actor.step("b", queue="quiet")], "quiet")))
    past = timezone.now() - 9000 * _SECOND
    Step.objects.update(due_at=past)
    Run.objects.update(wake_at=past, revision=F("revision") + 1)
    with patch("sagas.run.recover.depths", return_value={"flooded": 101, "quiet": 0}):
        assert sweep() == 2
    assert wake_in(flooded) > 290
    assert wake_in(other) <= 60


def test_a_run_that_waits_for_a_signal_only_is_never_looked_at(known: Known, actor: Actor) -> None:
    actor.answers["do a"] = Wait(None, "paid", "order:1")
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 0
    assert run_of(run_id).wake_at is None


def test_a_sweep_that_looks_at_a_run_makes_its_worker_write_on_what_it_saw(
    known: Known, actor: Actor, post: Post
) -> None:
    """It leaves ``wake_at`` alone if that is early enough: it must know when that has moved."""
    saga = known(flow([actor.step("a", retry=Retry(attempts=2))]))

    def look(run: object) -> RetryLater:
        Run.objects.update(wake_at=timezone.now() - _SECOND)
        assert sweep() == 0
        return RetryLater("busy", 7.0)

    actor.answers["do a"] = look
    run_id = begun(saga)
    carried(run_id, "a")
    assert wake_in(run_id) <= 7


def test_a_finished_run_holds_nothing(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    found = row(run_id, "a")
    assert (found.limit_at, found.due_at, found.pid, found.worker) == (None, None, None, "")
    assert run_of(run_id).wake_at is None


# --- lost workers --------------------------------------------------------------------------


def test_an_attempt_is_its_workers_while_that_worker_beats(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow([actor.step("a", timeout=1000)])))
    died(run_id, "a")
    assert carried(run_id, "a") == []
    assert row(run_id, "a").attempt == 1
    Worker.objects.update(lease_until=timezone.now() - _SECOND)
    with patch("sagas.run.dispatch.heartbeat.ensure"):
        carried(run_id, "a")
    assert row(run_id, "a").attempt == 2


def test_an_attempt_beyond_its_own_limit_is_taken_over_though_its_worker_beats(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    died(run_id, "a")
    Step.objects.update(limit_at=timezone.now() - _SECOND)
    carried(run_id, "a")
    assert row(run_id, "a").attempt == 2


def test_what_a_lost_child_held_is_sent_by_the_next_sweep(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow([actor.step("a", timeout=1000)]))
    lost, live, foreign = begun(saga), begun(saga), begun(saga)
    for run_id in (lost, live, foreign):
        died(run_id, "a")
    Step.objects.filter(run=lost).update(pid=4_000_001)
    Step.objects.filter(run=foreign).update(worker="another", pid=4_000_001)
    post.drop_all()
    assert transitions.free(identity(), [4_000_001]) == 1
    assert sweep() == 1
    assert [row(run_id, "a").attempt for run_id in (lost, live, foreign)] == [1, 1, 1]
    while post.deliver():
        pass
    assert [row(run_id, "a").attempt for run_id in (lost, live, foreign)] == [2, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_freeing_and_answering_at_the_same_moment_leave_one_outcome(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(15):
        run_id = begun(saga)
        given = message(run_id, "a")
        draft = claim(given)
        assert draft is not None
        outcomes = at_once(
            partial(transitions.free, identity(), [os.getpid()]), partial(attempt, given, draft)
        )
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
        assert (status(run_id), row(run_id, "a").attempt) == ("succeeded", 1)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_find_a_worker_lost_one_takes_its_step_over(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(10):
        run_id = begun(saga)
        died(run_id, "a")
        lapse(run_id)
        actor.calls.clear()
        outcomes = at_once(*[partial(carried, run_id, "a")] * 4)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
        assert (row(run_id, "a").attempt, actor.calls) == (2, ["do a"])


def test_a_database_that_goes_away_ends_the_sweep_and_blames_no_run(
    known: Known, actor: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    lapse(run_id)
    with (
        patch("sagas.run.recover.record.glance", side_effect=OperationalError("gone")),
        pytest.raises(OperationalError),
    ):
        sweep()
    assert "cannot be looked at" not in caplog.text
    assert wake_in(run_id) > 0


def test_a_broker_that_is_away_holds_up_one_send_and_the_others_are_tried_soon(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("a")))
    runs = [begun(saga) for _ in range(5)]
    post.drop_all()
    for run_id in runs:
        lapse(run_id)
    with patch("sagas.run.send.canvas", side_effect=OSError("no route")) as tried:
        assert sweep() == 0
    assert tried.call_count == 1
    assert all(wake_in(run_id) <= 5 for run_id in runs)
    breaker.reset()  # by then some seconds have passed
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 5

"""Databases whose transactions are not READ COMMITTED by default, or wait for no lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import OperationalError, connection, transaction

from sagas import db
from sagas.define.outcome import Wait
from sagas.define.step import wait_for
from sagas.models import AuditEntry, Signal
from sagas.operate import batch_run
from sagas.operate.bulk import confirm
from sagas.operate.cancel import cancel
from sagas.operate.pause import Pause
from sagas.operate.signal import hand_missed, send_signal
from sagas.operate.verb import act
from sagas.run import mailbox
from sagas.run.recover import sweep
from sagas.run.start import start
from tests.sagas.flows import flow
from tests.sagas.operate.batches import drafted, found, operator, saga_of, stopped
from tests.sagas.operate.parked import Person
from tests.sagas.stage import (
    Actor,
    Known,
    at_once,
    begun,
    carried,
    elsewhere,
    row,
    states,
    status,
    told,
    until_blocked,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("post")]


@contextmanager
def _default(setting: str, value: str) -> Iterator[None]:
    """Have each new connection to the test database begin with a setting."""
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    db.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    connection.close()
    try:
        yield
    finally:
        connection.close()
        db.execute(f"ALTER DATABASE {name} RESET {setting}")
        connection.close()


@pytest.fixture(params=["repeatable read", "serializable"], autouse=True)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    with _default("default_transaction_isolation", request.param):
        yield request.param


@pytest.fixture
def conflict() -> Iterator[Event]:
    """Set when somebody has waited for a lock for longer than the session waits."""
    found, real = Event(), db.is_conflict

    def noted(error: BaseException | None) -> bool:
        if real(error):
            found.set()
        return real(error)

    with _default("lock_timeout", "20ms"), patch.object(db, "is_conflict", noted):
        yield found


@pytest.fixture
def actor() -> Actor:
    return Actor()


@contextmanager
def meanwhile(action: Callable[[], Any], conflict: Event | None = None) -> Iterator[Future[Any]]:
    """Do what is inside in a transaction, which ends once the action waits for its locks.

    Args:
        conflict: and only after this.
    """
    future = Future[Any]()
    with ThreadPoolExecutor(1) as thread, transaction.atomic():
        yield future
        thread.submit(_settle, future, action)
        if conflict is None:
            _until_blocked_elsewhere()
        else:
            assert conflict.wait(10)


def _settle(future: Future[Any], action: Callable[[], Any]) -> None:
    try:
        future.set_result(elsewhere(action))
    except Exception as error:
        future.set_exception(error)


def _until_blocked_elsewhere() -> None:
    """Looked for by another connection, since this one's snapshot of the locks may be old."""
    at_once(until_blocked)


def paid() -> Any:
    return wait_for("paid", timeout=timedelta(hours=1))


def paused(run_id: UUID) -> str:
    return act(run_id, Pause(), by=Person(), reason="looked at")


def test_the_session_is_as_the_test_says(level: str) -> None:
    assert db.execute("SHOW default_transaction_isolation") == [(level,)]


def test_runs_that_conflict_all_end_without_anybody(known: Known, actor: Actor) -> None:
    shared = Signal.objects.create(name="shared").pk

    def count(run: Any) -> None:
        stored = Signal.objects.get(pk=shared)
        Signal.objects.filter(pk=shared).update(correlation=str(int(stored.correlation or 0) + 1))

    actor.answers["do b"] = count
    known(flow([actor.step("a"), actor.step("b", atomic=True), actor.step("c")]))
    runs = [start("flow", {"number": number}, key=str(number)).id for number in range(4)]
    twice = [partial(carried, run_id, "a") for run_id in runs for _ in range(2)]
    failed = [o for o in at_once(*twice, sweep, sweep) if isinstance(o, Exception)]
    assert failed == []
    assert [status(run_id) for run_id in runs] == ["succeeded"] * 4
    assert Signal.objects.get(pk=shared).correlation == "4"  # an update is lost in neither level
    assert [row(run_id, name).tries for run_id in runs for name in "abc"] == [1] * 12
    assert [told(run_id).problems for run_id in runs] == [[]] * 4


def test_a_signal_is_seen_by_a_wait_that_began_while_it_was_sent(known: Known) -> None:
    run_id = begun(known(flow([paid()])), key="order:1")
    with meanwhile(partial(carried, run_id, "paid")) as waits:
        assert not send_signal("paid", "order:1", 7)
    waits.result(10)
    carried(run_id, "paid")
    assert (status(run_id), row(run_id, "paid").result) == ("succeeded", 7)


def test_a_wait_is_seen_by_a_signal_that_was_sent_while_it_began(known: Known) -> None:
    run_id = begun(known(flow([paid()])), key="order:1")
    with meanwhile(partial(send_signal, "paid", "order:1", 7)) as sent:
        mailbox.lock("paid", "order:1")
        carried(run_id, "paid")
    assert sent.result(10)


def test_a_signal_that_a_callers_transaction_kept_for_a_wait_that_began_is_handed_by_a_sweep(
    known: Known,
) -> None:
    run_id = begun(known(flow([paid()])), key="order:1")
    with transaction.atomic():
        assert not Signal.objects.exists()  # from here on it sees nothing new
        at_once(partial(carried, run_id, "paid"))
        assert not send_signal("paid", "order:1", 7)
    assert at_once(hand_missed, hand_missed) in ([1, 0], [0, 1])
    carried(run_id, "paid")
    assert (status(run_id), row(run_id, "paid").result) == ("succeeded", 7)


@pytest.mark.parametrize("to_run", [False, True])
def test_a_signal_that_an_atomic_step_did_not_see_when_it_waited_is_handed_by_a_sweep(
    known: Known, actor: Actor, to_run: bool
) -> None:
    def wait(run: Any) -> Any:
        if run.signal is None:
            assert not Signal.objects.exists()
            to = {"run": run.id} if to_run else {"key": "order:1"}
            assert at_once(lambda: send_signal("paid", payload=7, **to)) == [False]
            return Wait(60.0, "paid", "order:1")
        return run.signal.payload

    actor.answers["do a"] = wait
    run_id = begun(known(flow([actor.step("a", atomic=True)])), key="order:1")
    carried(run_id, "a")
    assert states(run_id) == {"a": "waiting"}
    assert hand_missed() == 1
    carried(run_id, "a")
    assert (status(run_id), row(run_id, "a").result) == ("succeeded", 7)


def test_operator_actions_at_the_same_time_are_all_done_and_audited(known: Known) -> None:
    saga = known(flow(["a"]))
    first, second = begun(saga), begun(saga)
    with meanwhile(partial(paused, second)) as other:
        paused(first)
    other.result(10)
    assert set(AuditEntry.objects.values_list("run", flat=True)) == {first, second}


def test_an_operator_action_sees_what_the_one_before_it_did(known: Known) -> None:
    run_id = begun(known(flow(["a"])))
    with meanwhile(partial(cancel, run_id)) as again:
        cancel(run_id)
    assert again.result(10) == status(run_id) == "compensated"


def test_an_operator_action_waits_for_a_lock_that_the_session_does_not_wait_for(
    known: Known, conflict: Event
) -> None:
    run_id = begun(known(flow(["a"])))
    with meanwhile(partial(paused, run_id), conflict) as done:
        db.execute("SELECT 1 FROM sagas_run WHERE id = %s FOR UPDATE", [run_id])
    assert done.result(10) == "pending"


def test_a_batch_fails_no_run_for_a_conflict(known: Known, actor: Actor, conflict: Event) -> None:
    (run_id,) = stopped(saga_of(known, actor), 1)
    by = operator()
    batch = confirm(drafted(by).pk, by)
    with meanwhile(partial(batch_run.work, batch.pk, "task"), conflict) as done:
        db.execute("SELECT 1 FROM sagas_run WHERE id = %s FOR UPDATE", [run_id])
    done.result(10)
    assert list(found(batch).values()) == ["done"]


def test_a_start_that_conflicts_says_that_its_transaction_is_to_be_repeated(known: Known) -> None:
    known(flow(["a"]))

    def accept() -> bool:
        with transaction.atomic():
            assert not Signal.objects.exists()  # the snapshot is taken
            at_once(lambda: start("flow", {}, key="order:1"))
            return start("flow", {}, key="order:1").created

    with pytest.raises(OperationalError) as caught:
        accept()
    assert db.is_conflict(caught.value)
    assert "repeat all of it" in " ".join(caught.value.__notes__)
    assert not accept()

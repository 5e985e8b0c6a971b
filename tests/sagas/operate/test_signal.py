"""Signals: handed to the step that waits, kept for the one that will, and never lost between."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from pydantic import BaseModel, Field

from sagas.define import registry
from sagas.define.backoff import Retry
from sagas.define.context import Run
from sagas.define.outcome import Refused, RetryLater, Unknown, Wait
from sagas.define.saga import Definition
from sagas.define.step import Step, wait_for
from sagas.errors import PayloadInvalid, SagaError, UnknownRun, UnknownSaga
from sagas.models import Run as Stored
from sagas.models import Signal
from sagas.models import Step as StoredStep
from sagas.operate.cancel import cancel
from sagas.operate.signal import send_signal
from sagas.run import points
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork
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
    states,
    status,
    told,
    until_blocked,
)

pytestmark = pytest.mark.django_db
_HOUR = timedelta(hours=1)


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def paid(**options: Any) -> Step:
    return wait_for("paid", timeout=_HOUR, **options)


class Died(BaseException):
    """A worker's process ends."""


@contextmanager
def dying(point: str) -> Iterator[None]:
    """The worker dies where it reaches that point."""

    def die(reached: str, *_: str) -> None:
        if reached == point:
            raise Died

    with patch.object(points, "on_reached", die), pytest.raises(Died):
        yield


def sweep_all() -> int:
    """A sweep that comes when it looks at every run that has anything scheduled."""
    Stored.objects.filter(wake_at__isnull=False).update(wake_at=timezone.now())
    return sweep()


def time_up(run_id: UUID) -> None:
    """Let the time pass that the run's steps wait for at most."""
    lapse(run_id)
    StoredStep.objects.filter(run_id=run_id).update(started_at=F("started_at") - 2 * _HOUR)


def waiting(known: Known, *nodes: Any, key: str = "order:1") -> UUID:
    """A run that waits for ``paid``, of a saga with these further steps."""
    run_id = begun(known(flow([paid(), *nodes])), key=key)
    carried(run_id, "paid")
    return run_id


# --- to a step that waits ------------------------------------------------------------------


def test_a_signal_ends_the_wait_with_its_payload(known: Known, actor: Actor) -> None:
    run_id = waiting(known, actor.step("b", queue="other"))
    assert send_signal("paid", "order:1", {"amount": 7})
    assert states(run_id) == {"paid": "waiting", "b": "pending"}
    carried(run_id, "paid")
    found = row(run_id, "paid")
    assert (found.status, found.result, found.attempt) == ("succeeded", {"amount": 7}, 2)
    assert states(run_id)["b"] == "ready"
    assert (found.signal, found.correlation, found.due_at) == ("", "", None)
    assert told(run_id).problems == []


def test_the_signal_says_who_got_it_and_when_it_was_settled(known: Known) -> None:
    run_id = waiting(known)
    send_signal("paid", "order:1")
    signal = Signal.objects.get()
    assert (signal.taken_by_id, signal.taken_at) == (row(run_id, "paid").pk, None)
    carried(run_id, "paid")
    assert Signal.objects.get().taken_at is not None


@pytest.mark.django_db(transaction=True)
def test_what_follows_is_sent_once_the_sender_commits(known: Known, post: Post) -> None:
    run_id = waiting(known, "b")
    sent = post.count()
    with transaction.atomic():
        send_signal("paid", "order:1")
        assert post.count() == sent
    assert post.count() == sent + 1
    while post.deliver():
        pass
    assert status(run_id) == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_rolls_back_has_sent_nothing(known: Known) -> None:
    run_id = waiting(known, "b")
    with transaction.atomic():
        assert send_signal("paid", "order:1")
        transaction.set_rollback(True)
    assert states(run_id)["paid"] == "waiting"
    assert not Signal.objects.exists()


@pytest.mark.parametrize(("name", "correlation"), [("shipped", "order:1"), ("paid", "order:2")])
def test_a_signal_for_somebody_else_is_kept_and_wakes_nobody(
    known: Known, name: str, correlation: str
) -> None:
    run_id = waiting(known)
    assert not send_signal(name, correlation)
    assert states(run_id)["paid"] == "waiting"


def test_the_last_branch_may_be_one_that_waits(known: Known, actor: Actor) -> None:
    a, b = actor.steps("ab")
    run_id = begun(known(flow([fork(paid(), a), b])), key="order:1")
    carried(run_id, "a")
    carried(run_id, "paid")
    assert send_signal("paid", "order:1")
    carried(run_id, "paid")
    assert status(run_id) == "succeeded"


# --- before anybody waits ------------------------------------------------------------------


def test_an_early_signal_is_remembered(known: Known, actor: Actor) -> None:
    assert not send_signal("paid", "order:1", 7)
    run_id = begun(known(flow([actor.step("a"), paid(), actor.step("b")])), key="order:1")
    carried(run_id, "a", "paid", "b")
    assert status(run_id) == "succeeded"
    assert row(run_id, "paid").result == 7


def test_early_signals_are_taken_in_their_order_each_by_one_wait(known: Known) -> None:
    for payload in (1, 2):
        send_signal("paid", "order:1", payload)
    run_id = begun(known(flow([paid(name="first"), paid(name="second")])), key="order:1")
    carried(run_id, "first")
    assert (row(run_id, "first").result, row(run_id, "second").result) == (1, 2)


def test_a_signal_that_comes_after_the_time_is_up_and_before_anybody_noticed_counts(
    known: Known,
) -> None:
    run_id = waiting(known, "b")
    lapse(run_id)
    assert send_signal("paid", "order:1", 7)
    carried(run_id, "paid")
    assert states(run_id)["paid"] == "succeeded"
    assert row(run_id, "paid").result == 7


# --- duplicates ----------------------------------------------------------------------------


def test_a_duplicate_is_ignored_while_it_waits_for_somebody(known: Known) -> None:
    for payload in (1, 2):
        assert not send_signal("paid", "order:1", payload, deduplication_id="evt_1")
    assert Signal.objects.get().payload == 1


def test_a_duplicate_is_ignored_after_it_was_taken(known: Known) -> None:
    run_id = waiting(known, paid(name="again"))
    assert send_signal("paid", "order:1", deduplication_id="evt_1")
    carried(run_id, "paid")
    assert not send_signal("paid", "order:1", deduplication_id="evt_1")
    assert states(run_id)["again"] == "waiting"
    assert send_signal("paid", "order:1", deduplication_id="evt_2")


def test_without_an_id_equal_signals_are_several(known: Known) -> None:
    for _ in range(2):
        send_signal("paid", "order:1", 7)
    assert Signal.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_equal_signals_at_the_same_moment_one_counts(known: Known) -> None:
    saga = known(flow([paid(), paid(name="again")]))
    for number in range(10):
        key = f"order:{number}"
        run_id = begun(saga, key=key)
        carried(run_id, "paid")
        delivered = at_once(*[partial(send_signal, "paid", key, deduplication_id="e")] * 4)
        assert sorted(map(str, delivered)) == ["False", "False", "False", "True"]
        carried(run_id, "paid")
        assert states(run_id) == {"paid": "succeeded", "again": "waiting"}


# --- several who wait ----------------------------------------------------------------------


def test_of_two_who_wait_each_signal_wakes_one(known: Known) -> None:
    saga = known(flow([paid(correlate=lambda run: "shared")]))
    runs = [begun(saga), begun(saga)]
    for run_id in runs:
        carried(run_id, "paid")
    for run_id, payload in zip(runs, (1, 2), strict=True):
        assert send_signal("paid", "shared", payload)
        taken = Signal.objects.get(payload=payload).taken_by
        assert taken is not None
        assert taken.run_id == run_id
    assert not send_signal("paid", "shared")
    for run_id in runs:
        carried(run_id, "paid")
    assert [row(run_id, "paid").result for run_id in runs] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_signal_goes_to_the_next_one_if_the_first_stops_waiting_meanwhile(known: Known) -> None:
    saga = known(flow([paid(correlate=lambda run: "shared")]))
    first, second = begun(saga), begun(saga)
    for run_id in (first, second):
        carried(run_id, "paid")
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            cancel(first)
            sent = other.submit(elsewhere, lambda: send_signal("paid", "shared"))
            until_blocked()
        assert sent.result(10) is True
    carried(second, "paid")
    assert (status(first), status(second)) == ("compensated", "succeeded")


@pytest.mark.django_db(transaction=True)
def test_two_signals_at_the_same_moment_wake_two(known: Known) -> None:
    saga = known(flow([paid(correlate=lambda run: "shared")]))
    for _ in range(10):
        runs = [begun(saga), begun(saga)]
        for run_id in runs:
            carried(run_id, "paid")
        delivered = at_once(*[lambda: send_signal("paid", "shared")] * 2)
        assert delivered == [True, True]
        for run_id in runs:
            carried(run_id, "paid")
        assert [status(run_id) for run_id in runs] == ["succeeded", "succeeded"]


# --- races with the beginning of a wait ----------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_comes_just_when_a_wait_begins_is_never_lost(known: Known) -> None:
    saga = known(flow([paid()]))
    for number in range(50):
        key = f"order:{number}"
        run_id = begun(saga, key=key)
        outcomes = at_once(
            partial(carried, run_id, "paid"),
            partial(send_signal, "paid", key, 7),
        )
        assert not [o for o in outcomes if isinstance(o, Exception)], outcomes
        carried(run_id, "paid")  # if the signal found the step waiting
        assert status(run_id) == "succeeded"
        assert row(run_id, "paid").result == 7


@pytest.mark.django_db(transaction=True)
def test_a_signal_and_the_end_of_the_waiting_time_have_one_winner(known: Known) -> None:
    saga = known(flow([paid(on_timeout="continue"), paid(name="again")], name="times-out"))
    for number in range(25):
        key = f"order:{number}"
        run_id = begun(saga, key=key)
        carried(run_id, "paid")
        time_up(run_id)
        outcomes = at_once(
            partial(carried, run_id, "paid"),
            partial(send_signal, "paid", key, 7),
        )
        assert not [o for o in outcomes if isinstance(o, Exception)], outcomes
        for step in ("paid", "again"):  # if the signal found it waiting
            carried(run_id, step)
        assert told(run_id).problems == []
        signal, delivered = Signal.objects.get(correlation=key), outcomes[1]
        first, second = row(run_id, "paid"), row(run_id, "again")
        assert (first.status, signal.taken_at is None) == ("succeeded", False)
        if (second.status, second.result) == ("succeeded", 7):  # the time was up first
            assert first.result is None
        else:
            assert (delivered, first.result, second.status) == (True, 7, "waiting")


# --- refusals ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "correlation"),
    [
        ("", "k"),
        ("paid", ""),
        ("p" * 81, "k"),
        ("paid", "k" * 201),
        ("nul\x00", "k"),
        ("paid", "half\ud800"),
    ],
)
def test_a_signal_that_nobody_can_wait_for_is_refused(name: str, correlation: str) -> None:
    with pytest.raises(SagaError, match="needs 1 to"):
        send_signal(name, correlation)


@pytest.mark.parametrize("deduplication_id", ["", "x" * 201, "nul\x00"])
def test_an_id_that_tells_nothing_apart_is_refused(deduplication_id: str) -> None:
    """An empty one would silently drop every signal but the first."""
    with pytest.raises(SagaError, match="deduplication id needs 1 to 200 characters"):
        send_signal("paid", "k", deduplication_id=deduplication_id)


@pytest.mark.parametrize("payload", [object(), float("nan"), "nul\x00", "x" * 300_000])
def test_a_payload_that_cannot_be_stored_is_refused(payload: Any) -> None:
    with pytest.raises(PayloadInvalid, match="payload"):
        send_signal("paid", "k", payload)
    assert not Signal.objects.exists()


# --- code that does not fit ----------------------------------------------------------------


def test_a_signal_for_a_run_whose_code_is_gone_is_kept_and_taken_when_it_is_back(
    known: Known,
) -> None:
    saga = flow([paid()])
    with registry.isolated():
        registry.register(saga)
        run_id = begun(saga, key="order:1")
        carried(run_id, "paid")
    assert send_signal("paid", "order:1", 7)
    known(saga)
    assert sweep_all() == 1
    carried(run_id, "paid")
    assert (status(run_id), row(run_id, "paid").result) == ("succeeded", 7)


def test_a_signal_for_a_run_whose_steps_have_changed_is_kept_until_they_fit(known: Known) -> None:
    fits = flow([paid(), "b"])
    with registry.isolated():
        registry.register(fits)
        run_id = begun(fits, key="order:1")
        carried(run_id, "paid")
    with registry.isolated():
        registry.register(flow([paid(), "c"]))
        assert send_signal("paid", "order:1", 7)
        assert states(run_id) == {"paid": "waiting", "b": "pending"}
    known(fits)
    carried(run_id, "paid")
    assert (status(run_id), row(run_id, "paid").result) == ("succeeded", 7)


def test_an_early_signal_for_a_saga_that_this_process_does_not_know_is_kept_for_it(
    known: Known, actor: Actor
) -> None:
    saga = flow([actor.step("a"), paid()])
    with registry.isolated():
        registry.register(saga)
        run_id = begun(saga, key="order:1")
    assert not send_signal("paid", "order:1", 7)
    assert Signal.objects.get().saga == "flow"
    known(saga)
    carried(run_id, "a", "paid")
    assert (status(run_id), row(run_id, "paid").result) == ("succeeded", 7)


# --- steps of the user's own ---------------------------------------------------------------


def asks(actor: Actor, seen: list[Any], **options: Any) -> Step:
    """A step that waits for ``answer``, and notes what it sees in each call."""

    def ask(run: Run[Any]) -> Any:
        seen.append((run.signal and run.signal.payload, run.timed_out))
        if run.signal is not None:
            return {"answer": run.signal.payload}
        return Refused("nobody answered") if run.timed_out else Wait(60, "answer")

    actor.answers["do ask"] = ask
    return actor.step("ask", **options)


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("payload", [{"yes": True}, None])
def test_a_step_that_waits_is_called_again_with_the_signal(
    known: Known, actor: Actor, payload: Any, atomic: bool
) -> None:
    seen: list[Any] = []
    run_id = begun(known(flow([asks(actor, seen, atomic=atomic)])), key="order:1")
    carried(run_id, "ask")
    assert send_signal("answer", "order:1", payload)
    carried(run_id, "ask")
    assert seen == [(None, False), (payload, False)]
    assert (status(run_id), row(run_id, "ask").result) == ("succeeded", {"answer": payload})
    assert Signal.objects.get().taken_at is not None


@pytest.mark.parametrize("atomic", [False, True])
def test_a_step_whose_signal_came_early_is_called_again_by_the_same_message(
    known: Known, actor: Actor, post: Post, atomic: bool
) -> None:
    seen: list[Any] = []
    run_id = begun(known(flow([asks(actor, seen, atomic=atomic), "b"])), key="order:1")
    sent = post.count()
    assert not send_signal("answer", "order:1", 7)
    carried(run_id, "ask", "b")
    assert seen == [(None, False), (7, False)]
    assert (status(run_id), post.count()) == ("succeeded", sent)


def test_a_step_whose_time_was_up_is_told_so(known: Known, actor: Actor) -> None:
    seen: list[Any] = []
    run_id = begun(known(flow([asks(actor, seen)])), key="order:1")
    carried(run_id, "ask")
    lapse(run_id)
    carried(run_id, "ask")
    assert seen == [(None, False), (None, True)]
    assert status(run_id) == "compensated"


def test_a_signal_stays_with_its_step_while_that_is_tried_again(known: Known, actor: Actor) -> None:
    seen: list[Any] = []
    again: list[Any] = [RetryLater("busy"), Unknown("reset"), RuntimeError("bug"), "done"]

    def ask(run: Run[Any]) -> Any:
        seen.append(run.signal and run.signal.payload)
        if run.signal is None:
            return Wait(60, "answer")
        answer = again.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    actor.answers["do ask"] = ask
    run_id = begun(known(flow([actor.step("ask", retry=Retry(attempts=9))])), key="order:1")
    carried(run_id, "ask")
    assert send_signal("answer", "order:1", 7)
    for _ in range(4):
        assert Signal.objects.get().taken_at is None
        assert not send_signal("answer", "order:1", 8)
        Signal.objects.filter(payload=8).delete()
        lapse(run_id)
        carried(run_id, "ask")
    assert seen == [None, 7, 7, 7, 7]
    assert (status(run_id), Signal.objects.get().taken_at is None) == ("succeeded", False)


def test_a_step_that_waits_again_has_the_next_signal_and_not_the_same_one(
    known: Known, actor: Actor
) -> None:
    seen: list[Any] = []

    def collect(run: Run[Any]) -> Any:
        seen.append(run.signal and run.signal.payload)
        return "all" if run.signal and run.signal.payload == 3 else Wait(60, "part")

    actor.answers["do collect"] = collect
    run_id = begun(known(flow([actor.step("collect")])), key="order:1")
    carried(run_id, "collect")
    assert send_signal("part", "order:1", 1)
    assert not send_signal("part", "order:1", 2)  # while the first is at hand
    carried(run_id, "collect")
    assert seen == [None, 1, 2]
    assert send_signal("part", "order:1", 3)
    carried(run_id, "collect")
    assert (seen, status(run_id)) == ([None, 1, 2, 3], "succeeded")
    assert not Signal.objects.filter(taken_at=None).exists()


def test_a_signal_whose_worker_died_is_given_to_the_next_attempt(
    known: Known, actor: Actor
) -> None:
    seen: list[Any] = []
    run_id = begun(known(flow([asks(actor, seen)])), key="order:1")
    carried(run_id, "ask")
    assert send_signal("answer", "order:1", 7)
    for point in ("K1", "K3"):
        with dying(point):
            carried(run_id, "ask")
        lapse(run_id)
    carried(run_id, "ask")
    assert seen[-2:] == [(7, False), (7, False)]
    assert (status(run_id), row(run_id, "ask").result) == ("succeeded", {"answer": 7})
    assert Signal.objects.get().taken_at is not None


# --- addresses -----------------------------------------------------------------------------


def two(known: Known, **options: Any) -> tuple[Definition, Definition]:
    """Two sagas that wait for ``paid``."""
    return (
        known(flow([paid(**options)], name="orders")),
        known(flow([paid(**options)], name="invoices")),
    )


def begun_waiting(saga: Definition, key: str) -> UUID:
    run_id = begun(saga, key=key)
    carried(run_id, "paid", saga=f"{saga.name}/1")
    return run_id


def test_a_signal_for_one_saga_is_never_taken_by_a_run_of_another(known: Known) -> None:
    orders, invoices = two(known)
    assert not send_signal("paid", "17", "early", saga="orders")
    stranger = begun_waiting(invoices, "17")
    assert states(stranger) == {"paid": "waiting"}
    mine = begun_waiting(orders, "17")
    assert (status(mine), row(mine, "paid").result) == ("succeeded", "early")
    assert send_signal("paid", "17", "yours", saga="invoices")
    carried(stranger, "paid", saga="invoices/1")
    assert row(stranger, "paid").result == "yours"


@pytest.mark.parametrize("by", ["its only saga", "the key's run"])
def test_a_late_signal_is_not_taken_by_a_run_that_another_saga_starts_under_the_key(
    known: Known, actor: Actor, by: str
) -> None:
    if by == "the key's run":
        orders, invoices = two(known)
    else:
        actor.answers["do ask"] = Wait(None, "paid")
        orders = known(flow([paid()], name="orders"))
        invoices = known(flow([actor.step("ask")], name="invoices"))
    late = begun_waiting(orders, "17")
    time_up(late)
    carried(late, "paid", saga="orders/1")
    assert status(late) == "compensated"
    assert not send_signal("paid", "17", "money")
    stranger = begun(invoices, key="17")
    step = "paid" if by == "the key's run" else "ask"
    carried(stranger, step, saga="invoices/1")
    assert states(stranger) == {step: "waiting"}
    assert Signal.objects.get().taken_by is None


@pytest.mark.parametrize("started", [False, True])
def test_a_signal_that_may_be_for_runs_of_several_sagas_is_refused(
    known: Known, started: bool
) -> None:
    for saga in two(known):
        if started:
            begun_waiting(saga, "17")
    with pytest.raises(SagaError, match="several sagas may wait for it: invoices, orders"):
        send_signal("paid", "17")
    assert not Signal.objects.exists()


def test_a_signal_without_an_address_is_for_the_only_saga_that_has_a_run_under_the_key(
    known: Known,
) -> None:
    _, invoices = two(known)
    run_id = begun_waiting(invoices, "17")
    assert send_signal("paid", "17")
    carried(run_id, "paid", saga="invoices/1")
    assert status(run_id) == "succeeded"


def test_an_early_signal_waits_for_a_step_that_does_not_declare_it_but_has_the_only_run(
    known: Known, actor: Actor
) -> None:
    actor.answers["do ask"] = lambda run: run.signal.payload if run.signal else Wait(None, "paid")
    known(flow([paid()], name="orders"))
    run_id = begun(known(flow([actor.step("ask")], name="invoices")), key="17")
    assert not send_signal("paid", "17", "early")
    carried(run_id, "ask", saga="invoices/1")
    carried(run_id, "ask", saga="invoices/1")
    assert (status(run_id), row(run_id, "ask").result) == ("succeeded", "early")


def test_one_event_may_be_sent_to_two_sagas(known: Known) -> None:
    runs = [begun_waiting(saga, "17") for saga in two(known)]
    for saga in ("orders", "invoices"):
        assert send_signal("paid", "17", saga=saga, deduplication_id="evt_1")
        assert not send_signal("paid", "17", saga=saga, deduplication_id="evt_1")
    for run_id, saga in zip(runs, ("orders", "invoices"), strict=True):
        carried(run_id, "paid", saga=f"{saga}/1")
        assert status(run_id) == "succeeded"


@pytest.mark.parametrize("early", [False, True])
def test_a_signal_for_a_run_finds_it_whatever_its_key(known: Known, early: bool) -> None:
    saga = known(flow([paid(correlate=lambda run: "shared")]))
    other = begun(saga)
    carried(other, "paid")
    run_id = begun(saga)
    if not early:
        carried(run_id, "paid")
    assert send_signal("paid", run=run_id, payload=7) is not early
    carried(run_id, "paid")
    assert (status(run_id), row(run_id, "paid").result) == ("succeeded", 7)
    assert states(other) == {"paid": "waiting"}


def test_a_signal_for_a_run_or_saga_that_does_not_exist_is_refused(known: Known) -> None:
    known(flow([paid()]))
    with pytest.raises(UnknownRun):
        send_signal("paid", run="0" * 32)
    with pytest.raises(UnknownSaga, match="Did you mean 'flow'"):
        send_signal("paid", "17", saga="flows")
    with pytest.raises(SagaError, match="not both"):
        send_signal("paid", "17", run="0" * 32)


def test_a_run_of_a_saga_that_this_process_does_not_know_can_be_addressed(known: Known) -> None:
    with registry.isolated():
        run_id = waiting(known, key="17")
    assert send_signal("paid", "17", saga="flow")
    assert Signal.objects.get().taken_by_id == row(run_id, "paid").pk


# --- expiry --------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [True, False])
def test_an_expired_signal_is_never_taken(known: Known, settings: Any, told: bool) -> None:
    saga = known(flow([paid()]))
    if not told:
        settings.SAGAS = {**settings.SAGAS, "SIGNAL_SECONDS": 60}
    send_signal("paid", "17", "old", expires=timedelta(minutes=1) if told else None)
    send_signal("paid", "18", "new")
    Signal.objects.filter(payload="old").update(
        received_at=F("received_at") - timedelta(minutes=2),
        expires_at=F("expires_at") - timedelta(minutes=2),
    )
    old, new = begun_waiting(saga, "17"), begun_waiting(saga, "18")
    assert (status(old), status(new)) == ("running", "succeeded")
    assert send_signal("paid", "17", "newer")
    carried(old, "paid")
    assert row(old, "paid").result == "newer"


def test_a_signal_at_hand_does_not_expire(known: Known) -> None:
    run_id = waiting(known)
    assert send_signal("paid", "order:1", 7, expires=timedelta(minutes=1))
    Signal.objects.update(expires_at=F("received_at"))
    carried(run_id, "paid")
    assert row(run_id, "paid").result == 7


@pytest.mark.parametrize("expires", [timedelta(0), -_HOUR, 60])
def test_a_time_in_which_no_signal_can_be_taken_is_refused(expires: Any) -> None:
    with pytest.raises(SagaError, match="Give a timedelta above zero"):
        send_signal("paid", "17", expires=expires)


# --- what a signal carries -----------------------------------------------------------------


class Payment(BaseModel):
    amount: int
    paid_on: date = Field(alias="paidOn")


_PAYMENT = {"amount": 7, "paidOn": "2030-01-02"}


def test_a_payload_is_what_the_wait_declares(known: Known, actor: Actor) -> None:
    wait = paid(payload=Payment)
    actor.answers["do b"] = lambda run: run.results["paid"].paid_on.year
    run_id = begun(known(flow([wait, actor.step("b")])), key="17")
    carried(run_id, "paid")
    assert send_signal("paid", "17", _PAYMENT)
    carried(run_id, "paid", "b")
    assert (status(run_id), row(run_id, "b").result) == ("succeeded", 2030)


def test_a_payload_may_be_given_as_the_model_itself(known: Known) -> None:
    run_id = begun_waiting(known(flow([paid(payload=Payment)])), "17")
    assert send_signal("paid", "17", Payment(**_PAYMENT))
    carried(run_id, "paid")
    assert row(run_id, "paid").result == {"amount": 7, "paid_on": "2030-01-02"}


@pytest.mark.parametrize("payload", [None, {"amount": "x"}, []])
@pytest.mark.parametrize("early", [False, True])
def test_a_payload_that_the_wait_does_not_declare_is_refused_at_the_door(
    known: Known, payload: Any, early: bool
) -> None:
    saga = known(flow([paid(payload=Payment)]))
    if not early:
        begun_waiting(saga, "17")
    with pytest.raises(PayloadInvalid) as refused:
        send_signal("paid", "17", payload)
    assert all(problem["field"].startswith("payload") for problem in refused.value.problems)
    assert not Signal.objects.exists()


def test_a_payload_is_compared_with_what_the_addressed_saga_declares(known: Known) -> None:
    known(flow([paid(payload=Payment)], name="orders"))
    known(flow([paid(payload=int)], name="invoices"))
    known(flow([paid(payload=str)], name="invoices", version=2))
    send_signal("paid", "17", _PAYMENT, saga="orders")
    for fits in (7, "seven"):  # of some version
        send_signal("paid", "17", fits, saga="invoices")
    for saga, misfit in (("orders", 7), ("invoices", _PAYMENT)):
        with pytest.raises(PayloadInvalid):
            send_signal("paid", "17", misfit, saga=saga)


def test_a_time_that_was_up_is_told_apart_from_a_signal_that_carries_nothing(
    known: Known,
) -> None:
    saga = known(flow([paid(on_timeout="continue")]))
    told_so, up = begun_waiting(saga, "17"), begun_waiting(saga, "18")
    send_signal("paid", "17")
    time_up(up)
    for run_id in (told_so, up):
        carried(run_id, "paid")
        assert status(run_id) == "succeeded"
    assert (row(told_so, "paid").result, row(up, "paid").result) == (True, None)


# --- races with the end of a wait and with cancels -----------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_commits_before_a_late_claim_is_not_missed_by_it(
    known: Known, actor: Actor
) -> None:
    """The claim was planned because the time was up; it is planned again."""
    seen: list[Any] = []
    run_id = begun(known(flow([asks(actor, seen)])), key="17")
    carried(run_id, "ask")
    lapse(run_id)
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            assert send_signal("answer", "17", 7)
            claim = other.submit(elsewhere, lambda: carried(run_id, "ask"))
            until_blocked()
        claim.result(10)
    assert seen == [(None, False), (7, False)]
    assert status(run_id) == "succeeded"


@pytest.mark.django_db(transaction=True)
def test_a_signal_that_comes_while_the_late_call_is_made_is_kept(
    known: Known, actor: Actor
) -> None:
    seen: list[Any] = []
    run_id = begun(known(flow([asks(actor, seen)])), key="17")
    carried(run_id, "ask")
    lapse(run_id)
    ask, delivered = actor.answers["do ask"], []

    def while_it_answers(run: Run[Any]) -> Any:
        with ThreadPoolExecutor(1) as other:
            sent = other.submit(elsewhere, lambda: send_signal("answer", "17", 7))
            delivered.append(sent.result(10))
        return ask(run)

    actor.answers["do ask"] = while_it_answers
    carried(run_id, "ask")
    assert (delivered, seen) == ([False], [(None, False), (None, True)])
    assert status(run_id) == "compensated"
    assert Signal.objects.get().taken_by is None


@pytest.mark.django_db(transaction=True)
def test_a_signal_for_a_run_and_one_for_its_key_at_the_same_moment_are_both_taken(
    known: Known,
) -> None:
    saga = known(flow([paid(), paid(name="again")]))
    for number in range(10):
        run_id = begun_waiting(saga, f"order:{number}")
        delivered = at_once(
            partial(send_signal, "paid", f"order:{number}", "key"),
            partial(send_signal, "paid", run=run_id, payload="run"),
        )
        assert sorted(delivered) == [False, True]
        carried(run_id, "paid", "again")
        assert status(run_id) == "succeeded"
        results = {row(run_id, "paid").result, row(run_id, "again").result}
        assert results == {"key", "run"}


def test_a_signal_for_a_run_waits_until_the_one_for_its_key_is_taken(known: Known) -> None:
    run_id = waiting(known, paid(name="again"))
    assert send_signal("paid", "order:1", "key")
    assert not send_signal("paid", run=run_id, payload="run")
    carried(run_id, "paid", "again")
    assert [row(run_id, name).result for name in ("paid", "again")] == ["key", "run"]


def test_a_signal_that_was_handed_over_before_a_cancel_stays_untaken(known: Known) -> None:
    run_id = waiting(known)
    assert send_signal("paid", "order:1")
    cancel(run_id)
    carried(run_id, "paid")
    assert status(run_id) == "compensated"
    assert Signal.objects.get().taken_at is None


# --- compensations -------------------------------------------------------------------------


def test_a_compensation_may_wait_for_a_signal(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no")
    actor.answers["undo a"] = Wait(3600.0, "refunded", "order:1")
    run_id = begun(known(flow(actor.steps("ab"))), key="order:1")
    carried(run_id, "a")
    assert states(run_id, BACKWARD) == {"a": "waiting"}
    assert send_signal("refunded", "order:1")
    actor.answers["undo a"] = lambda run: None if run.signal else Wait(3600.0, "refunded")
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert status(run_id) == "compensated"

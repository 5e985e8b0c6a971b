"""Signals: handed to the step that waits, kept for the one that will, and never lost between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from sagas.define import registry
from sagas.define.outcome import Refused, Wait
from sagas.define.step import Step, wait_for
from sagas.errors import PayloadInvalid, SagaError, UnknownSaga
from sagas.models import Signal
from sagas.operate.cancel import cancel
from sagas.operate.signal import send_signal
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


def waiting(known: Known, *nodes: Any, key: str = "order:1") -> UUID:
    """A run that waits for ``paid``, of a saga with these further steps."""
    run_id = begun(known(flow([paid(), *nodes])), key=key)
    carried(run_id, "paid")
    return run_id


# --- to a step that waits ------------------------------------------------------------------


def test_a_signal_ends_the_wait_with_its_payload(known: Known) -> None:
    run_id = waiting(known, "b")
    assert send_signal("paid", "order:1", {"amount": 7})
    found = row(run_id, "paid")
    assert (found.status, found.result, found.attempt) == ("succeeded", {"amount": 7}, 1)
    assert states(run_id)["b"] == "ready"
    assert (found.signal, found.correlation, found.due_at) == ("", "", None)
    assert told(run_id).problems == []


def test_the_signal_says_who_took_it(known: Known) -> None:
    run_id = waiting(known)
    send_signal("paid", "order:1")
    signal = Signal.objects.get()
    assert signal.taken_by_id == row(run_id, "paid").pk
    assert signal.taken_at is not None


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
    assert states(run_id)["b"] == "ready"


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
    assert send_signal("paid", "order:1")
    assert carried(run_id, "paid") == []
    assert states(run_id) == {"paid": "succeeded", "b": "ready"}


# --- duplicates ----------------------------------------------------------------------------


def test_a_duplicate_is_ignored_while_it_waits_for_somebody(known: Known) -> None:
    for payload in (1, 2):
        assert not send_signal("paid", "order:1", payload, deduplication_id="evt_1")
    assert Signal.objects.get().payload == 1


def test_a_duplicate_is_ignored_after_it_was_taken(known: Known) -> None:
    run_id = waiting(known, paid(name="again"))
    assert send_signal("paid", "order:1", deduplication_id="evt_1")
    carried(run_id, "again")
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
        assert states(run_id) == {"paid": "succeeded", "again": "ready"}


# --- several who wait ----------------------------------------------------------------------


def test_of_two_who_wait_each_signal_wakes_one(known: Known) -> None:
    saga = known(flow([paid(correlate=lambda run: "shared")]))
    runs = [begun(saga), begun(saga)]
    for run_id in runs:
        carried(run_id, "paid")
    assert send_signal("paid", "shared")
    assert [status(run_id) for run_id in runs] == ["succeeded", "running"]
    assert send_signal("paid", "shared")
    assert status(runs[1]) == "succeeded"


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
        assert status(run_id) == "succeeded"
        assert row(run_id, "paid").result == 7


@pytest.mark.django_db(transaction=True)
def test_a_signal_and_the_end_of_the_waiting_time_have_one_winner(known: Known) -> None:
    saga = known(flow([paid(on_timeout="continue"), paid(name="again")], name="times-out"))
    for number in range(25):
        key = f"order:{number}"
        run_id = begun(saga, key=key)
        carried(run_id, "paid")
        lapse(run_id)
        outcomes = at_once(
            partial(carried, run_id, "paid"),
            partial(send_signal, "paid", key, 7),
        )
        assert not [o for o in outcomes if isinstance(o, Exception)], outcomes
        assert told(run_id).problems == []
        assert Signal.objects.filter(correlation=key).count() == 1


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


def test_a_signal_for_a_run_whose_code_is_gone_is_refused_and_not_kept(known: Known) -> None:
    with registry.isolated():
        waiting(known)
    with pytest.raises(UnknownSaga), transaction.atomic():
        send_signal("paid", "order:1")
    assert not Signal.objects.exists()


def test_a_signal_does_not_move_a_run_whose_steps_have_changed(known: Known) -> None:
    with registry.isolated():
        run_id = waiting(known, "b")
    known(flow([paid(), "c"]))
    with pytest.raises(UnknownSaga, match="other steps"), transaction.atomic():
        send_signal("paid", "order:1")
    assert states(run_id) == {"paid": "waiting", "b": "pending"}


# --- compensations -------------------------------------------------------------------------


def test_a_compensation_may_wait_for_a_signal(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no")
    actor.answers["undo a"] = Wait(3600.0, "refunded", "order:1")
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    assert states(run_id, BACKWARD) == {"a": "waiting"}
    assert send_signal("refunded", "order:1")
    assert status(run_id) == "compensated"

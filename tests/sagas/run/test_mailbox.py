"""Signals in the database: kept in order, taken once, and in step with those who begin to wait."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.db import connection, transaction
from django.db.models import F

from sagas import db, models
from sagas.define.outcome import Wait
from sagas.define.step import Step
from sagas.models import Signal
from sagas.run import mailbox
from sagas.run.context import AtHand
from tests.sagas.flows import flow
from tests.sagas.stage import Known, at_once, begun, row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def waits(name: str = "a", signal: str = "paid") -> Step:
    return Step(name, lambda run: Wait(60.0, signal, run.business_key), harmless=True, waits=True)


@pytest.fixture
def step(known: Known) -> models.Step:
    """A step of a run of the saga ``flow``."""
    return row(begun(known(flow(["a"])), key="k"), "a")


def hand(step: models.Step, name: str = "paid", key: str = "k", saga: str = "flow") -> bool | None:
    return mailbox.hand(saga, step.run_id, step.pk, name, key)


def taken(step: models.Step, *address: str) -> str | None:
    """Hand a signal to a step and settle the step; the signal's payload."""
    hand(step, *address)
    signal = mailbox.at_hand(step.pk)
    mailbox.spend(step.pk)
    return None if signal is None else signal.payload


def test_signals_are_handed_over_oldest_first_and_once(step: models.Step) -> None:
    for payload in ("1", "2"):
        assert mailbox.keep("paid", "k", None, payload)
    assert [taken(step) for _ in range(3)] == ["1", "2", None]
    assert set(Signal.objects.values_list("taken_by_id", flat=True)) == {step.pk}
    assert not Signal.objects.filter(taken_at=None).exists()


def test_a_signal_is_at_hand_until_it_is_spent(step: models.Step) -> None:
    mailbox.keep("paid", "k", None, "1")
    mailbox.keep("paid", "k", None, "2")
    assert [hand(step) for _ in range(2)] == [True, False]
    assert mailbox.at_hand(step.pk) == AtHand("paid", "1", Signal.objects.first().received_at)  # type: ignore[union-attr]
    mailbox.spend(step.pk)
    assert mailbox.at_hand(step.pk) is None
    assert hand(step) is True


@pytest.mark.parametrize("off", [(), ("hashjoin", "mergejoin", "indexscan", "bitmapscan")])
def test_one_signal_is_handed_over_however_the_database_looks_for_it(
    step: models.Step, off: tuple[str, ...]
) -> None:
    """A join that looked for it again for each row gave the next one too, and both were spent."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sagas_signal")  # of an empty table: its rows are thought few
        for way in off:
            cursor.execute(f"SET LOCAL enable_{way} = off")
    for _ in range(6):  # an idle look each; from the sixth on, the database keeps one plan
        assert hand(step) is None
    for payload in ("1", "2", "3"):
        mailbox.keep("paid", "k", None, payload)
    assert [taken(step) for _ in range(4)] == ["1", "2", "3", None]


@pytest.mark.parametrize("address", [("paid", "other"), ("shipped", "k"), ("paid", "k", "another")])
def test_a_signal_for_somebody_else_is_left(step: models.Step, address: tuple[str, ...]) -> None:
    mailbox.keep("paid", "k", None, "1", saga="flow")
    assert hand(step, *address) is None


def test_a_signal_for_a_run_is_found_by_its_id(step: models.Step) -> None:
    mailbox.keep("paid", str(step.run_id), None, "1")
    assert hand(step, "paid", "whatever")


def test_a_signal_without_a_payload_is_a_null(step: models.Step) -> None:
    mailbox.keep("paid", "k", None, "null")
    assert taken(step) == "null"


def test_a_second_signal_with_the_same_id_is_not_kept(step: models.Step) -> None:
    assert mailbox.keep("paid", "k", "evt_1", "1")
    assert not mailbox.keep("paid", "k", "evt_1", "2")
    assert (taken(step), taken(step)) == ("1", None)


def test_an_id_is_remembered_after_its_signal_was_taken(step: models.Step) -> None:
    mailbox.keep("paid", "k", "evt_1", "1")
    taken(step)
    assert not mailbox.keep("paid", "k", "evt_1", "1")


def test_ids_are_apart_by_name_and_key() -> None:
    for name, correlation in (("paid", "k"), ("paid", "other"), ("shipped", "k")):
        assert mailbox.keep(name, correlation, "evt_1", "1")


def test_an_expired_signal_is_handed_to_nobody(step: models.Step) -> None:
    mailbox.keep("paid", "k", None, "1", expires=timedelta(minutes=1))
    Signal.objects.update(expires_at=F("received_at"))
    assert hand(step) is None


def test_the_oldest_step_that_waits_is_found_for_each_saga(known: Known) -> None:
    saga, other = known(flow([waits()])), known(flow([waits()], name="other"))
    first, second = begun(saga), begun(saga)
    stranger = begun(other)
    db.execute("UPDATE sagas_step SET status = 'waiting', signal = 'paid', correlation = 'k'")
    oldest = {"flow": (first, "a", "forward"), "other": (stranger, "a", "forward")}
    assert mailbox.waiting("paid", "k") == oldest
    db.execute("UPDATE sagas_step SET status = 'ready' WHERE run_id = %s", [first])
    assert mailbox.waiting("paid", "k")["flow"] == (second, "a", "forward")
    assert mailbox.waiting("paid", "other") == {}
    assert mailbox.waiting("shipped", "k") == {}


def test_a_step_that_has_a_signal_at_hand_waits_for_no_other(step: models.Step) -> None:
    db.execute("UPDATE sagas_step SET status = 'waiting', signal = 'paid', correlation = 'k'")
    mailbox.keep("paid", "k", None, "1")
    hand(step)
    assert mailbox.waiting("paid", "k") == {}
    mailbox.spend(step.pk)
    assert "flow" in mailbox.waiting("paid", "k")


def test_a_compensation_that_waits_is_found_as_such(known: Known) -> None:
    saga = known(flow(["a", "b"]))
    run_id = begun(saga)
    db.execute(
        "INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes,"
        " losses, in_doubt, generation, worker, signal, correlation, error) VALUES"
        " (%s, 'a', 'backward', 0, 'waiting', 1, 0, 0, 0, false, 1, '', 'paid', 'k', '')",
        [run_id],
    )
    assert mailbox.waiting("paid", "k") == {"flow": (run_id, "a", "backward")}


def test_the_sagas_that_have_a_run_under_a_key_are_found(known: Known) -> None:
    for name in ("orders", "invoices"):
        begun(known(flow(["a"], name=name)), key="k")
    assert mailbox.sagas_under("k") == {"orders", "invoices"}
    assert mailbox.sagas_under("other") == set()


@pytest.mark.django_db(transaction=True)
def test_one_signal_is_handed_to_one_of_many(known: Known) -> None:
    saga = known(flow(["a"]))
    steps = [row(begun(saga), "a") for _ in range(3)]
    for number in range(10):
        name = f"paid-{number}"
        mailbox.keep(name, "k", None, "1")

        def take(step: models.Step, name: str = name) -> bool | None:
            with transaction.atomic():
                mailbox.lock(name, "k")
                return hand(step, name)

        outcomes = at_once(*(partial(take, step) for step in steps))
        assert sorted(map(str, outcomes)) == ["None", "None", "True"]


@pytest.mark.django_db(transaction=True)
def test_the_lock_of_a_signal_keeps_others_of_it_out_until_the_transaction_ends() -> None:
    order: list[str] = []

    def work(name: str) -> None:
        with transaction.atomic():
            mailbox.lock("paid", "k")
            order.append(f"{name} in")
            db.execute("SELECT pg_sleep(0.05)")
            order.append(f"{name} out")

    at_once(lambda: work("one"), lambda: work("two"))
    assert [entry.split()[1] for entry in order] == ["in", "out", "in", "out"]

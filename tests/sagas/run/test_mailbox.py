"""Signals in the database: kept in order, taken once, and in step with those who begin to wait."""

from __future__ import annotations

import pytest
from django.db import transaction

from sagas import db
from sagas.define.outcome import Wait
from sagas.define.step import Step
from sagas.models import Signal
from sagas.run import mailbox
from tests.sagas.flows import flow
from tests.sagas.stage import Known, at_once, begun, carried, row

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def waits(name: str = "a", signal: str = "paid") -> Step:
    return Step(name, lambda run: Wait(60.0, signal, run.business_key), harmless=True, waits=True)


def test_signals_are_taken_oldest_first_and_once(known: Known) -> None:
    step_id = row(begun(known(flow(["a"]))), "a").pk
    for payload in ("1", "2"):
        assert mailbox.keep("paid", "k", None, payload)
    taken = [mailbox.take("paid", "k", step_id) for _ in range(3)]
    assert taken == ["1", "2", None]
    assert set(Signal.objects.values_list("taken_by_id", flat=True)) == {step_id}
    assert not Signal.objects.filter(taken_at=None).exists()


@pytest.mark.parametrize(("name", "correlation"), [("paid", "other"), ("shipped", "k")])
def test_a_signal_for_somebody_else_is_left(name: str, correlation: str) -> None:
    mailbox.keep("paid", "k", None, "1")
    assert mailbox.take(name, correlation, None) is None


def test_a_signal_without_a_payload_is_a_null() -> None:
    mailbox.keep("paid", "k", None, "null")
    assert mailbox.take("paid", "k", None) == "null"


def test_a_second_signal_with_the_same_id_is_not_kept() -> None:
    assert mailbox.keep("paid", "k", "evt_1", "1")
    assert not mailbox.keep("paid", "k", "evt_1", "2")
    assert mailbox.take("paid", "k", None) == "1"
    assert mailbox.take("paid", "k", None) is None


def test_an_id_is_remembered_after_its_signal_was_taken() -> None:
    mailbox.keep("paid", "k", "evt_1", "1")
    mailbox.take("paid", "k", None)
    assert not mailbox.keep("paid", "k", "evt_1", "1")


def test_ids_are_apart_by_name_and_correlation() -> None:
    for name, correlation in (("paid", "k"), ("paid", "other"), ("shipped", "k")):
        assert mailbox.keep(name, correlation, "evt_1", "1")


def test_the_oldest_run_that_waits_is_found(known: Known) -> None:
    saga = known(flow([waits()]))
    first, second = begun(saga, key="k1"), begun(saga, key="k2")
    db.execute("UPDATE sagas_step SET status = 'waiting', signal = 'paid', correlation = 'k'")
    assert mailbox.waiting("paid", "k") == (first, "a", "forward")
    db.execute("UPDATE sagas_step SET status = 'ready' WHERE run_id = %s", [first])
    assert mailbox.waiting("paid", "k") == (second, "a", "forward")
    assert mailbox.waiting("paid", "other") is None
    assert mailbox.waiting("shipped", "k") is None


def test_a_compensation_that_waits_is_found_as_such(known: Known) -> None:
    saga = known(flow(["a", "b"]))
    run_id = begun(saga)
    db.execute(
        "INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes,"
        " losses, in_doubt, generation, worker, signal, correlation, error) VALUES"
        " (%s, 'a', 'backward', 0, 'waiting', 1, 0, 0, 0, false, 1, '', 'paid', 'k', '')",
        [run_id],
    )
    assert mailbox.waiting("paid", "k") == (run_id, "a", "backward")


def test_a_wait_that_begins_takes_what_came_early(known: Known) -> None:
    run_id = begun(known(flow([waits(), "b"])), key="k")
    mailbox.keep("paid", "k", None, '{"amount": 7}')
    carried(run_id, "a")
    found = row(run_id, "a")
    assert (found.status, found.result) == ("succeeded", {"amount": 7})
    assert Signal.objects.get().taken_by_id == found.pk


@pytest.mark.django_db(transaction=True)
def test_one_signal_is_taken_by_one_of_many() -> None:
    for number in range(10):
        name = f"paid-{number}"
        mailbox.keep(name, "k", None, "1")

        def take(name: str = name) -> str | None:
            with transaction.atomic():
                mailbox.lock(name, "k")
                return mailbox.take(name, "k", None)

        assert sorted(map(str, at_once(take, take, take))) == ["1", "None", "None"]


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

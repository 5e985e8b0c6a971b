"""Signals that no step has taken: listed with the reason, and only those."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F

from sagas.define.step import Step, wait_for
from sagas.models import Signal
from sagas.operate.cancel import cancel
from sagas.operate.signal import send_signal
from sagas.operate.unclaimed import UnclaimedReason, unclaimed
from tests.sagas.flows import flow
from tests.sagas.stage import Actor, Known, begun, carried, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def paid(**options: Any) -> Step:
    return wait_for("paid", timeout=timedelta(hours=1), **options)


def reasons() -> list[tuple[UnclaimedReason, UUID | None]]:
    return [(one.reason, one.run) for one in unclaimed()]


def test_money_that_came_for_a_run_that_is_over_is_listed_with_the_run(known: Known) -> None:
    run_id = begun(known(flow([paid()])), key="17")
    cancel(run_id)
    assert not send_signal("paid", "17")
    assert not send_signal("paid", run=run_id)
    assert reasons() == [(UnclaimedReason.OVER, run_id)] * 2


def test_a_signal_that_was_handed_to_a_run_that_was_then_cancelled_is_listed(
    known: Known,
) -> None:
    run_id = begun(known(flow([paid()])), key="17")
    carried(run_id, "paid")
    assert send_signal("paid", "17")
    assert reasons() == []  # on its way
    cancel(run_id)
    assert status(run_id) == "compensated"
    assert reasons() == [(UnclaimedReason.OVER, run_id)]


def test_a_signal_that_nobody_waits_for_and_an_early_one_and_an_expired_one_are_told_apart(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow([actor.step("a"), paid()])), key="17")
    for key in ("16", "17", "18"):
        send_signal("paid", key, expires=timedelta(hours=1))
    Signal.objects.filter(correlation="18").update(expires_at=F("received_at"))
    assert reasons() == [
        (UnclaimedReason.EXPIRED, None),
        (UnclaimedReason.COMING, run_id),
        (UnclaimedReason.NO_RUN, None),
    ]
    carried(run_id, "a", "paid")
    assert [one.key for one in unclaimed()] == ["18", "16"]


def test_only_signals_for_some_sagas_are_listed(known: Known) -> None:
    known(flow([paid()], name="orders"))
    send_signal("paid", "17")
    assert [one.saga for one in unclaimed(["orders"])] == ["orders"]
    assert unclaimed(["invoices"]) == []
    assert unclaimed(most=0) == []


@pytest.fixture
def actor() -> Actor:
    return Actor()

from __future__ import annotations

import json
from itertools import permutations
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from integrations.models import Order, WebhookEvent
from integrations.webhooks import hint, inbox
from integrations.webhooks.received import Event
from integrations.webhooks.work import work
from sagas.models import Run, Signal
from tests.integrations.test_models import an_order

pytestmark = pytest.mark.django_db

NOBODYS = "order:00000000-0000-4000-8000-000000000000"


@pytest.fixture
def order() -> Order:
    order = an_order()
    order.save()
    return order


def told(kind: str, order_key: str, number: str = "trk_1", **more: Any) -> Event:
    body = {
        "type": kind,
        "timestamp": "2026-05-01T12:00:00Z",
        "data": {"tracking_number": number, "reference": order_key, **more},
    }
    return Event("shipping", f"msg_{uuid4().hex}", kind, json.dumps(body))


def test_a_parcel_that_was_fetched_is_followed_once(order: Order) -> None:
    inbox.keep([told("parcel.collected", order.key) for _ in range(3)])
    work()
    run = Run.objects.get()
    assert (run.saga, run.business_key) == ("parcel-delivery", "parcel:trk_1")
    assert run.payload["email"] == order.email
    assert WebhookEvent.objects.filter(status="done").count() == 3


@pytest.mark.parametrize("kinds", list(permutations(["parcel.collected", "parcel.delivered"])))
def test_in_either_order_the_run_gets_to_know_that_it_arrived(
    order: Order, kinds: tuple[str, str]
) -> None:
    for kind in kinds:
        inbox.keep([told(kind, order.key)])
        work()
    assert Run.objects.count() == 1
    signal = Signal.objects.get()
    assert (signal.name, signal.correlation) == ("parcel.delivered", "parcel:trk_1")
    assert signal.payload == {"at": "2026-05-01T12:00:00Z"}


def test_what_it_causes_and_that_it_is_done_are_one(order: Order) -> None:
    inbox.keep([told("parcel.delivered", order.key)])
    with patch("integrations.receivers.shipping.send_signal", side_effect=RuntimeError):
        work()
    assert (Run.objects.count(), Signal.objects.count()) == (0, 0)
    WebhookEvent.objects.update(due_at="2020-01-01T00:00:00Z")
    work()
    assert (Run.objects.count(), Signal.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("key", "number", "reason"),
    [
        (NOBODYS, "trk_1", "There is no order"),
        ("order:17", "trk_1", "data.reference breaks 'pattern'"),
        (f"{NOBODYS}\n", "trk_1", "There is no order"),
        (NOBODYS, "a b", "data.tracking_number breaks 'pattern'"),
    ],
)
def test_a_parcel_of_nobodys_is_a_dead_letter(key: str, number: str, reason: str) -> None:
    inbox.keep([told("parcel.collected", key, number)])
    work()
    event = WebhookEvent.objects.get()
    assert event.status == "dead"
    assert reason in event.note


def test_a_number_that_no_run_can_have_is_a_dead_letter(order: Order) -> None:
    inbox.keep([told("parcel.collected", order.key, "trk_1\n")])
    work()
    event = WebhookEvent.objects.get()
    assert (event.status, event.attempts) == ("dead", 1)
    assert "tracking_number" in event.note


def test_another_order_under_the_same_number_is_a_dead_letter(order: Order) -> None:
    other = an_order()
    other.save()
    inbox.keep([told("parcel.collected", order.key), told("parcel.collected", other.key)])
    work()
    assert sorted(WebhookEvent.objects.values_list("status", flat=True)) == ["dead", "done"]
    assert Run.objects.count() == 1


def test_no_worker_is_told_before_the_commit(order: Order) -> None:
    with patch.object(hint, "send") as send:
        inbox.keep([told("parcel.collected", order.key)])
        work()
    assert not send.called

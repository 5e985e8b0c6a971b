from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise, permutations
from typing import Any

import pytest

from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks import envelopes, inbox
from integrations.webhooks.known import settle
from integrations.webhooks.received import Event
from integrations.webhooks.work import work
from sagas.models import Run
from tests.integrations.webhooks.senders import received
from tests.sagas.stage import elsewhere

pytestmark = pytest.mark.django_db

KINDS = {"created": "incomplete", "updated": "active", "deleted": "canceled"}


def told(what: str, created: int, stands: str, **more: Any) -> Event:
    kind, number = f"customer.subscription.{what}", f"evt_{what}_{created}"
    subscription = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": stands}
    body = {
        "id": number,
        "type": kind,
        "created": created,
        "data": {"object": {**subscription, **more}},
    }
    return Event("payments", number, kind, json.dumps(body), datetime.fromtimestamp(created, UTC))


def changed(number: int, before: dict[str, Any], after: dict[str, Any]) -> Event:
    """A change of the second 1000, from one state to the next."""
    event = told("updated", 1_000, "active", **after)
    body = event.document()
    body["data"]["previous_attributes"] = before
    return replace(event, id=f"evt_{number}", body=json.dumps(body))


def thin(what: str, created: str, number: str = "evt_thin") -> Event:
    """As Stripe's documents show it: which object, and no data."""
    body = json.dumps(
        {
            "id": number,
            "object": "v2.core.event",
            "type": f"v1.customer.subscription.{what}",
            "livemode": False,
            "created": created,
            "context": None,
            "related_object": {
                "id": "sub_1",
                "type": "subscription",
                "url": "/v1/subscriptions/sub_1",
            },
            "snapshot_event": "evt_snapshot",
        }
    )
    (event,) = envelopes.stripe("payments", received(body.encode(), {}))
    return event


WALK = ["incomplete", "active", "past_due", "unpaid"]
STEPS = [
    changed(number, {"status": before}, {"status": after})
    for number, (before, after) in enumerate(pairwise(WALK))
]


def ask() -> None:
    """What the last run of a subscription that is in doubt does, its partner being right."""
    last = Run.objects.order_by("created_at").last()
    assert last is not None
    answer = {"status": WALK[-1], "customer": "cus_1", "cancel_at_period_end": None}
    assert settle("payments", "sub_1", last.payload["event_id"], answer)


def status() -> str:
    return str(PartnerObject.objects.get(source="payments", subject="sub_1").state["status"])


@pytest.mark.parametrize("order", list(permutations(KINDS)))
@pytest.mark.parametrize("apart", [0, 1])
def test_a_subscription_ends_as_it_did_in_whatever_order_it_is_told(
    order: tuple[str, ...], apart: int
) -> None:
    moments = {what: 1_000 + apart * place for place, what in enumerate(KINDS)}
    for what in order:
        inbox.keep([told(what, moments[what], KINDS[what])])
        work()
    assert status() == "canceled"
    assert WebhookEvent.objects.filter(status="done").count() == 3


def test_what_came_too_late_says_so() -> None:
    inbox.keep([told("updated", 2_000, "active"), told("updated", 1_000, "past_due")])
    work()
    assert status() == "active"
    assert "newer event" in WebhookEvent.objects.get(event_id="evt_updated_1000").note


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_changes_of_one_second_are_told_by_what_they_start_from(order: tuple[int, ...]) -> None:
    for number in order:
        inbox.keep([STEPS[number]])
        work()
    assert WebhookEvent.objects.filter(status="done").count() == 3
    if Run.objects.exists():  # the first and the last came before what joins them
        assert order[2] == 1
        ask()
    assert status() == "unpaid"


def test_what_a_change_does_not_name_was_as_it_is() -> None:
    later = changed(2, {"cancel_at_period_end": False}, {"cancel_at_period_end": True})
    first = changed(1, {"status": "past_due"}, {"cancel_at_period_end": False})
    for event in (later, first):
        inbox.keep([event])
        work()
    assert PartnerObject.objects.get().state["cancel_at_period_end"] is True
    assert not Run.objects.exists()


def test_a_change_that_does_not_say_from_what_is_asked_for() -> None:
    inbox.keep([told("paused", 1_000, "paused"), told("resumed", 1_000, "active")])
    work()
    run = Run.objects.get()
    assert (run.saga, run.payload["subject"]) == ("subscription-refresh", "sub_1")
    note = WebhookEvent.objects.get(event_id=run.payload["event_id"]).note
    assert "a run asks for it" in note


def test_a_thin_event_is_asked_for() -> None:
    inbox.keep([thin("updated", "2026-05-01T12:00:00.731Z")])
    work()
    event = WebhookEvent.objects.get()
    assert (event.status, event.event_id) == ("done", "evt_thin")
    assert event.occurred_at == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert Run.objects.get().payload == {"subject": "sub_1", "event_id": "evt_thin"}
    ask()
    assert status() == "unpaid"


def test_a_thin_event_that_is_old_asks_for_nothing() -> None:
    inbox.keep([told("updated", 1_777_636_800, "active")])
    inbox.keep([thin("updated", "2026-05-01T11:59:59.999Z")])
    work()
    assert (Run.objects.count(), status()) == (0, "active")


def test_an_event_and_its_thin_twin_are_of_one_moment() -> None:
    inbox.keep([thin("updated", "2026-05-01T12:00:00.731Z")])
    inbox.keep([told("updated", 1_777_636_800, "active")])
    work()
    assert Run.objects.count() == 2
    ask()
    assert status() == "unpaid"


def test_a_thin_event_about_something_else_is_ignored() -> None:
    other = replace(thin("updated", "2026-05-01T12:00:00Z"), kind="v1.charge.updated")
    inbox.keep([other])
    work()
    assert WebhookEvent.objects.get().status == "ignored"


@pytest.mark.django_db(transaction=True)
def test_workers_that_handle_one_second_at_once_know_its_end() -> None:
    events = [
        changed(n, {"status": _word(before)}, {"status": _word(after)})
        for n, (before, after) in enumerate(pairwise(range(9)))
    ]
    random.shuffle(events)
    inbox.keep(events)
    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(elsewhere, work) for _ in range(4)]:
            each.result()
    assert WebhookEvent.objects.filter(status="done").count() == len(events)
    known = PartnerObject.objects.get()
    if known.asked_by:
        assert Run.objects.filter(payload__event_id=known.asked_by).exists()
    else:
        assert status() == _word(8)


def _word(number: int) -> str:
    return "s" * (number + 1)


def test_what_is_no_subscription_is_a_dead_letter() -> None:
    inbox.keep([told("updated", 1_000, "active", object="invoice")])
    work()
    assert WebhookEvent.objects.get().status == "dead"
    assert not PartnerObject.objects.exists()


# --- refunds ---------------------------------------------------------------------------------


def refunded(stands: str, created: int, kind: str = "refund.updated", **more: Any) -> Event:
    refund = {"id": "re_1", "object": "refund", "amount": 1250, "currency": "eur"}
    body = {
        "id": f"evt_{kind}_{stands}_{created}",
        "type": kind,
        "created": created,
        "data": {"object": {**refund, "status": stands, "payment_intent": "pi_1", **more}},
    }
    at = datetime.fromtimestamp(created, UTC)
    return Event("payments", str(body["id"]), kind, json.dumps(body), at)


def refund() -> dict[str, Any]:
    state: dict[str, Any] = PartnerObject.objects.get(source="payments", subject="re_1").state
    return state


REFUND = [
    ("refund.created", "pending"),
    ("refund.updated", "succeeded"),
    ("refund.failed", "failed"),
]


@pytest.mark.parametrize("order", list(permutations(REFUND)))
@pytest.mark.parametrize("apart", [0, 1])
def test_a_refund_that_fails_in_the_end_is_known_as_failed_in_whatever_order_it_is_told(
    order: tuple[tuple[str, str], ...], apart: int
) -> None:
    for kind, stands in order:
        at = 1_000 + apart * REFUND.index((kind, stands))
        inbox.keep([refunded(stands, at, kind, failure_reason="expired_or_canceled_card")])
        work()
    assert refund() == {
        "status": "failed",
        "amount": 1250,
        "currency": "eur",
        "payment_intent": "pi_1",
        "failure_reason": "expired_or_canceled_card",
    }
    assert WebhookEvent.objects.filter(status="done").count() == 3
    assert not Run.objects.exists()


def test_a_refund_is_told_twice_by_events_of_two_kinds() -> None:
    for kind in ("charge.refund.updated", "refund.updated"):
        inbox.keep([refunded("succeeded", 1_000, kind)])
    work()
    assert refund()["status"] == "succeeded"
    assert not PartnerObject.objects.exclude(asked_by="").exists()


def test_that_a_refund_has_failed_is_an_error_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    inbox.keep([refunded("failed", 1_000, "refund.failed", failure_reason="lost_or_stolen_card")])
    inbox.keep([refunded("failed", 1_000, "refund.updated", failure_reason="lost_or_stolen_card")])
    work()
    (told,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert told.getMessage() == "Refund re_1 of pi_1 has failed (lost_or_stolen_card)."


def test_what_is_no_refund_is_a_dead_letter() -> None:
    inbox.keep([refunded("succeeded", 1_000, object="charge")])
    work()
    assert WebhookEvent.objects.get().status == "dead"

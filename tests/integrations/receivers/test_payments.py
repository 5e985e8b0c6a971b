from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks import inbox
from integrations.webhooks.received import Event
from integrations.webhooks.work import work

pytestmark = pytest.mark.django_db

KINDS = {"created": "incomplete", "updated": "active", "deleted": "canceled"}


def told(what: str, created: int, status: str, **more: Any) -> Event:
    kind, number = f"customer.subscription.{what}", f"evt_{what}_{created}"
    subscription = {"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status}
    body = {
        "id": number,
        "type": kind,
        "created": created,
        "data": {"object": {**subscription, **more}},
    }
    return Event("payments", number, kind, json.dumps(body), datetime.fromtimestamp(created, UTC))


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


def test_what_is_no_subscription_is_a_dead_letter() -> None:
    inbox.keep([told("updated", 1_000, "active", object="invoice")])
    work()
    assert WebhookEvent.objects.get().status == "dead"
    assert not PartnerObject.objects.exists()

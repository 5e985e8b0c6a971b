from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks import envelopes, inbox
from integrations.webhooks.known import settle
from integrations.webhooks.work import work
from sagas.models import Run
from tests.integrations.webhooks.senders import received

pytestmark = pytest.mark.django_db


def told(stage: str, at: int, name: str = "lifecyclestage") -> dict[str, object]:
    return {
        "eventId": at,
        "subscriptionType": "contact.propertyChange",
        "objectId": 123,
        "occurredAt": at,
        "propertyName": name,
        "propertyValue": stage,
    }


def keep(*events: dict[str, object]) -> None:
    inbox.keep(envelopes.hubspot("hubspot", received(json.dumps(events).encode(), {})))


def test_the_newest_stage_of_a_contact_is_kept_by_the_millisecond() -> None:
    keep(told("customer", 1_002), told("lead", 1_001), told("opportunity", 1_000))
    work()
    known = PartnerObject.objects.get()
    assert (known.subject, known.state) == ("contact 123", {"lifecyclestage": "customer"})
    assert known.as_of == datetime.fromtimestamp(1.002, UTC)


def test_of_two_changes_of_one_millisecond_nobody_can_tell_so_the_contact_is_asked_for() -> None:
    keep(told("customer", 1_000), {**told("lead", 1_000), "eventId": 7})
    work()
    run = Run.objects.get()
    assert (run.saga, run.payload["subject"]) == ("contact-refresh", "contact 123")
    settle("hubspot", "contact 123", run.payload["event_id"], {"lifecyclestage": "lead"})
    assert PartnerObject.objects.get().state == {"lifecyclestage": "lead"}


def test_of_what_else_changes_nothing_is_kept() -> None:
    keep(told("ann@example.com", 1_000, "email"))
    work()
    assert not PartnerObject.objects.exists()
    assert WebhookEvent.objects.get().note == "Only the lifecyclestage of contacts is kept."


def test_the_newer_generic_kind_tells_the_same_of_contacts_only() -> None:
    generic = {"subscriptionType": "object.propertyChange"}
    keep({**told("customer", 1_000), **generic, "objectTypeId": "0-1"})
    keep({**told("won", 1_001), **generic, "objectTypeId": "0-3", "objectId": 7})
    keep({**told("lost", 1_002), **generic})
    work()
    assert PartnerObject.objects.get().state == {"lifecyclestage": "customer"}
    assert WebhookEvent.objects.filter(status="done").count() == 2
    assert "objectTypeId" in WebhookEvent.objects.get(status="dead").note

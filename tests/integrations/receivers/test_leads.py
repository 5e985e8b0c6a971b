from __future__ import annotations

import json
from typing import Any

import pytest

from integrations.models import WebhookEvent
from integrations.sagas.lead_qualification import Inquiry, lead_page
from integrations.webhooks import inbox
from integrations.webhooks.received import Event
from integrations.webhooks.work import work
from sagas.models import Run

pytestmark = pytest.mark.django_db

ANN = {
    "name": "Ann Smith",
    "email": "ann@example.com",
    "company": "Smith & Daughters",
    "employees": 40,
    "budget": 9000,
}


def told(event_id: str = "msg_1", **changes: Any) -> Event:
    body = {"type": "lead.captured", "data": {**ANN, "shoe_size": 39, **changes}}
    return Event("leads", event_id, "lead.captured", json.dumps(body))


def test_a_lead_is_worked_on_with_what_we_need_to_know() -> None:
    inbox.keep([told()])
    work()
    run = Run.objects.get()
    assert (run.saga, run.payload) == ("lead-qualification", Inquiry(**ANN).model_dump())
    assert lead_page(run.business_key).startswith("/")


def test_each_event_is_a_lead_of_its_own_and_a_replayed_one_is_not() -> None:
    inbox.keep([told("msg_1"), told("msg_2")])
    work()
    WebhookEvent.objects.update(status="received", finished_at=None, due_at="2020-01-01T00:00:00Z")
    work()
    assert Run.objects.count() == 2


@pytest.mark.parametrize("field", sorted(ANN))
def test_a_lead_that_lacks_something_is_a_dead_letter_without_its_data(field: str) -> None:
    inbox.keep([told("msg_1", **{field: None})])
    work()
    event = WebhookEvent.objects.get()
    assert event.status == "dead"
    assert f"data.{field} breaks 'type'" in event.note
    assert "ann@example.com" not in event.note


@pytest.mark.parametrize("name", ["A\0nn", "A\ud800nn", "A\nnn"])
def test_text_that_no_row_can_hold_is_a_dead_letter_at_once(name: str) -> None:
    inbox.keep([told(name=name)])
    work()
    event = WebhookEvent.objects.get()
    assert (event.status, event.attempts) == (("done" if name == "A\nnn" else "dead"), 1)

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from integrations.sagas.customer_registration import customer_registration, key_of
from integrations.sagas.lead_qualification import lead_qualification
from integrations.views import registrations
from sagas.api import Saga
from sagas.models import Run
from sagas.operate.access import Right
from tests.sagas.views.callers import make_caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def open_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is not closed for want of partners."""
    monkeypatch.setattr("integrations.views.needed._complaints", lambda partners: iter(()))


def signed_up(address: str = "192.0.2.1", **entries: str) -> Any:
    form = {"submission": str(uuid4()), "name": "Ann", "email": f"{uuid4().hex}@example.com"}
    client = Client(REMOTE_ADDR=address)
    return client.post(reverse("shop:sign-up"), form | entries)


@pytest.mark.usefixtures("open_for_all")
def test_an_address_signs_up_only_so_many_and_reads_when_to_come_again() -> None:
    door = registrations.PAGES.door
    assert door is not None
    assert [signed_up().status_code for _ in range(door.per_address)] == [302] * door.per_address
    answer = signed_up(name="Ann Smith")
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 900
    page = answer.content.decode()
    assert "Too many sign-ups from your address. Try again in 15 minutes." in page
    assert 'value="Ann Smith"' in page, "what was filled in is lost"
    assert signed_up("192.0.2.2").status_code == 302


@pytest.mark.usefixtures("open_for_all")
def test_a_person_is_mailed_only_so_often_whoever_asks() -> None:
    statuses = [
        signed_up(f"192.0.2.{number}", email="ann@example.com").status_code for number in range(4)
    ]
    assert statuses == [302, 302, 302, 429]


@pytest.mark.usefixtures("open_for_all")
def test_the_same_form_sent_again_is_not_counted() -> None:
    number = str(uuid4())
    statuses = {
        signed_up(submission=number, email="ann@example.com").status_code for _ in range(30)
    }
    assert statuses == {302}


@pytest.mark.usefixtures("open_for_all")
def test_a_full_backlog_is_told_to_people_and_to_services(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_registration, "backlog", 2)
    assert [signed_up().status_code for _ in range(2)] == [302, 302]
    answer = signed_up()
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert "More is asked for than we can take up at present." in answer.content.decode()
    number = uuid4()
    payload = {"registration_id": str(number), "name": "Ann", "email": "ann@example.com"}
    refused = make_caller(*Right).start(payload, key=key_of(number), saga="customer-registration")
    assert (refused.status_code, refused["Retry-After"]) == (503, "60")
    assert refused["Content-Type"] == "application/problem+json"
    assert "2 of its runs wait" in refused.json()["detail"]


@pytest.mark.parametrize("saga", [customer_registration, lead_qualification])
def test_what_strangers_start_stays_on_a_queue_of_its_own(saga: Saga) -> None:
    assert {step.queue for step in saga.steps.values()} == {"anonymous"}
    assert saga.backlog is not None


def test_a_registration_that_is_started_by_the_api_has_the_same_page(client: Client) -> None:
    number = uuid4()
    payload = {"registration_id": str(number), "name": "Ann Smith", "email": "ann@example.com"}
    caller = make_caller(*Right)
    answer = caller.start(payload, key=key_of(number), saga="customer-registration")
    assert answer.status_code == 202
    page = client.get(reverse("shop:registration", args=[number])).content.decode()
    assert "We have your registration" in page


def test_the_api_takes_no_password() -> None:
    payload = {"registration_id": str(uuid4()), "name": "Ann", "email": "a@b.example"}
    caller = make_caller(*Right)
    answer = caller.start({**payload, "password": "hunter2"}, saga="customer-registration")
    assert answer.status_code == 400
    assert "hunter2" not in answer.content.decode()
    assert Run.objects.count() == 0

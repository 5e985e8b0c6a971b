from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from integrations.sagas.customer_registration import key_of
from sagas.models import Run
from sagas.operate.access import Right
from tests.sagas.views.callers import make_caller

pytestmark = pytest.mark.django_db


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

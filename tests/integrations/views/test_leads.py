from __future__ import annotations

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from integrations.sagas.lead_qualification import key_of
from sagas.models import Run
from tests.integrations.sagas.leads import PROMISING

pytestmark = pytest.mark.django_db


def test_a_lead_may_be_sent_by_the_api_too_and_has_the_same_page(admin_client: Client) -> None:
    number = uuid4()
    answer = admin_client.post(
        "/api/sagas/lead-qualification/runs",
        PROMISING.model_dump(),
        content_type="application/json",
        headers={"Idempotency-Key": key_of(number)},
    )
    assert answer.status_code == 202, answer.content
    assert Run.objects.get().business_key == key_of(number)
    page = admin_client.get(reverse("shop:lead", args=[number])).content.decode()
    assert "We have your request" in page

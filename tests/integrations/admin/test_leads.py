from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from integrations.leads.models import Lead, Stage
from integrations.sagas.lead_qualification import lead_qualification
from sagas.api import start
from tests.integrations.sagas.leads import KEY, PROMISING

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead() -> Lead:
    told = PROMISING.model_dump()
    return Lead.objects.create(key=KEY, points=75, stage=Stage.OPPORTUNITY, **told)


def test_staff_read_leads_and_where_they_went(lead: Lead, admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:integrations_leads_lead_changelist")).content.decode()
    for shown in ("Lee Ltd", "Opportunity", "75"):
        assert shown in page


def test_a_leads_page_shows_its_run_and_changes_nothing(lead: Lead, admin_client: Client) -> None:
    start(lead_qualification, PROMISING, key=KEY)
    address = reverse("admin:integrations_leads_lead_change", args=[lead.pk])
    assert "lead-qualification" in admin_client.get(address).content.decode()
    assert admin_client.post(address, {"stage": "dropped"}).status_code == 403
    assert admin_client.get(reverse("admin:integrations_leads_lead_add")).status_code == 403
    gone = reverse("admin:integrations_leads_lead_delete", args=[lead.pk])
    assert admin_client.post(gone, {"post": "yes"}).status_code == 403

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from integrations.hubspot import Person
from integrations.models import PartnerObject
from integrations.sagas.refresh import Doubt, contact_refresh, key_of, subscription_refresh
from sagas.api import Run
from sagas.testing import given
from tests.integrations.sagas.rig import Partners, fake_partners

pytestmark = pytest.mark.django_db

STEPS = subscription_refresh.steps
A_DOUBT = Doubt(subject="sub_1", event_id="evt_1")


@pytest.fixture
def partners() -> Iterator[Partners]:
    with fake_partners() as partners:
        yield partners


@pytest.fixture
def known() -> PartnerObject:
    return PartnerObject.objects.create(
        source="payments",
        subject="sub_1",
        state={"status": "active"},
        as_of=datetime.now(UTC),
        told_by="evt_0",
        asked_by="evt_1",
    )


def run_of(found: Any, subject: str = "sub_1") -> Run[Doubt]:
    return Run(
        id=uuid4(),
        saga="subscription-refresh",
        business_key=key_of("evt_1"),
        payload=Doubt(subject=subject, event_id="evt_1"),
        results={"ask": found},
        key="k",
        attempt=1,
        result=None,
        now=datetime.now(UTC),
        started_at=datetime.now(UTC),
        elapsed=0.0,
        clock=lambda: 5.0,
    )


FOUND = {"status": "past_due", "customer": "cus_1", "cancel_at_period_end": True}


def test_what_is_found_is_kept() -> None:
    scenario = given(subscription_refresh, A_DOUBT).when("ask", FOUND)
    scenario.expect("succeeded", done=["ask", "keep_answer"])


def test_what_is_not_there_any_more_leaves_what_is_known() -> None:
    scenario = given(subscription_refresh, A_DOUBT).when("ask", None)
    scenario.expect("succeeded", done=["ask"], skipped=["keep_answer"])


def test_the_partner_is_asked_for_the_subscription(partners: Partners) -> None:
    customer = partners.payments.create_customer("a@example.com", "A", "r", key="c", timeout=5)
    made = partners.payments.create_subscription(customer.id, "price_1", "r", key="s", timeout=5)
    found = {"status": "active", "customer": customer.id, "cancel_at_period_end": False}
    assert STEPS["ask"].action(run_of(None, made.id)) == found
    assert STEPS["ask"].action(run_of(None)) is None


def test_hubspot_is_asked_for_a_contacts_stage(partners: Partners) -> None:
    ask = contact_refresh.steps["ask"].action
    made = partners.hubspot.create_contact(Person("a@example.com"), "r", timeout=5)
    partners.hubspot.update_contact(made.id, {"lifecyclestage": "lead"}, timeout=5)
    assert ask(run_of(None, f"contact {made.id}")) == {"lifecyclestage": "lead"}
    assert ask(run_of(None, "contact 0")) is None


def test_the_answer_is_kept_unless_another_event_has_told_more(known: PartnerObject) -> None:
    assert STEPS["keep_answer"].action(run_of(FOUND)) is True
    known.refresh_from_db()
    assert known.state == FOUND
    assert STEPS["keep_answer"].action(run_of(FOUND)) is False

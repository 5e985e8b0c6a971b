"""What holds for HubSpot in particular, fake or real."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from integrations.errors import PartnerRefused
from integrations.hubspot import HubSpot, Person
from tests.integrations.conformance.rig import Rig


@pytest.fixture
def rig(rigs: Callable[[str], Rig]) -> Rig:
    return rigs("hubspot")


@pytest.fixture
def hubspot(rig: Rig) -> HubSpot:
    client: HubSpot = rig.client
    return client


@pytest.fixture
def ann() -> Person:
    return Person(f"ann+{uuid4().hex}@example.com", "Ann")


def test_a_contact_is_found_by_its_email_address(hubspot: HubSpot, rig: Rig, ann: Person) -> None:
    assert hubspot.find_contact_by_email(ann.email, timeout=10.0) is None
    made = hubspot.create_contact(ann, rig.reference, timeout=10.0)
    assert hubspot.find_contact_by_email(ann.email, timeout=10.0) == made


def test_an_address_that_is_taken_by_another_reference_is_refused(
    hubspot: HubSpot, rig: Rig, ann: Person
) -> None:
    hubspot.create_contact(ann, f"{rig.reference}-first", timeout=10.0)
    with pytest.raises(PartnerRefused, match=r"create_contact: .*e-mail address exists") as caught:
        hubspot.create_contact(ann, rig.reference, timeout=10.0)
    assert ann.email not in str(caught.value)
    assert hubspot.find_contact(rig.reference, timeout=10.0) is None


def test_an_update_happens_once_however_often_it_is_asked_for(
    hubspot: HubSpot, rig: Rig, ann: Person
) -> None:
    made = hubspot.create_contact(ann, rig.reference, timeout=10.0)
    for _ in range(2):
        hubspot.update_contact(made.id, {"hs_lead_status": "OPEN"}, timeout=10.0)
    assert rig.effects() == ["contact_created", "contact_updated"]


def test_properties_of_a_contact_are_read_by_its_id(
    hubspot: HubSpot, rig: Rig, ann: Person
) -> None:
    made = hubspot.create_contact(ann, rig.reference, timeout=10.0)
    hubspot.update_contact(made.id, {"lifecyclestage": "customer"}, timeout=10.0)
    wanted = ["lifecyclestage", "hs_lead_status"]
    found = hubspot.read_contact(made.id, wanted, timeout=10.0)
    assert found == {"lifecyclestage": "customer", "hs_lead_status": None}
    hubspot.archive_contact(made.id, timeout=10.0)
    assert hubspot.read_contact(made.id, wanted, timeout=10.0) is None
    assert hubspot.read_contact("0", wanted, timeout=10.0) is None


def test_an_update_of_a_contact_that_is_gone_is_refused(
    hubspot: HubSpot, rig: Rig, ann: Person
) -> None:
    made = hubspot.create_contact(ann, rig.reference, timeout=10.0)
    hubspot.archive_contact(made.id, timeout=10.0)
    with pytest.raises(PartnerRefused):
        hubspot.update_contact(made.id, {"hs_lead_status": "OPEN"}, timeout=10.0)


def test_a_note_on_a_contact_that_is_gone_is_refused(
    hubspot: HubSpot, rig: Rig, ann: Person
) -> None:
    made = hubspot.create_contact(ann, f"{rig.reference}-person", timeout=10.0)
    hubspot.archive_contact(made.id, timeout=10.0)
    with pytest.raises(PartnerRefused):
        hubspot.create_note(made.id, "Hello", rig.reference, timeout=10.0)
    assert hubspot.find_note(rig.reference, timeout=10.0) is None


def test_a_person_shows_in_no_repr_and_an_answer_holds_nothing_personal(
    hubspot: HubSpot, rig: Rig, ann: Person
) -> None:
    made = hubspot.create_contact(ann, rig.reference, timeout=10.0)
    assert "ann" not in f"{made!r} {ann!r}"

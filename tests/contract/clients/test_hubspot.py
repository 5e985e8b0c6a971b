"""HubSpot's official client against the stand-in."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from hubspot import HubSpot
from hubspot.crm.contacts import ApiException
from hubspot.crm.contacts import SimplePublicObjectInput as Changes
from hubspot.crm.contacts import SimplePublicObjectInputForCreate as NewContact
from hubspot.crm.objects.notes import SimplePublicObjectInputForCreate as NewNote

from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.process import RunningSandbox


@pytest.fixture
def client(sandbox: RunningSandbox) -> HubSpot:
    return HubSpot(access_token=ACCESS_TOKEN)


@pytest.fixture
def contacts(client: HubSpot, sandbox: RunningSandbox) -> Any:
    return _pointed(client.crm.contacts.basic_api, sandbox)


def _pointed(api: Any, sandbox: RunningSandbox) -> Any:
    api.api_client.configuration.host = sandbox.address
    return api


def _contact(contacts: Any, **properties: str) -> Any:
    new = NewContact(properties={"email": f"{uuid4().hex}@example.com", **properties})
    return contacts.create(simple_public_object_input_for_create=new)


def test_a_contact_is_made_read_changed_and_archived(contacts: Any) -> None:
    made = _contact(contacts, firstname="Ann", lastname="Lee")
    wanted = ["email", "firstname", "company"]
    read = contacts.get_by_id(made.id, properties=wanted, archived=False)
    assert read.properties["email"] == made.properties["email"]
    assert (read.properties["firstname"], read.properties["company"]) == ("Ann", None)
    changed = Changes(properties={"company": "Lee & Co"})
    contacts.update(made.id, simple_public_object_input=changed)
    email = made.properties["email"].upper()
    found = contacts.get_by_id(email, id_property="email", properties=["company"])
    assert (found.id, found.properties["company"]) == (made.id, "Lee & Co")
    contacts.archive(made.id)
    with pytest.raises(ApiException) as caught:
        contacts.get_by_id(made.id)
    assert caught.value.status == 404


def test_an_address_that_is_taken_is_a_conflict(contacts: Any) -> None:
    made = _contact(contacts)
    with pytest.raises(ApiException) as caught:
        _contact(contacts, email=made.properties["email"])
    assert caught.value.status == 409


def test_what_the_stand_in_does_not_do_is_refused(contacts: Any) -> None:
    made = _contact(contacts)
    for unsupported in ({"associations": ["companies"]}, {"archived": True}):
        with pytest.raises(ApiException) as caught:
            contacts.get_by_id(made.id, **unsupported)
        assert caught.value.status == 400


def test_a_note_belongs_to_a_contact(
    client: HubSpot, contacts: Any, sandbox: RunningSandbox
) -> None:
    notes = _pointed(client.crm.objects.notes.basic_api, sandbox)
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}
    note = NewNote(
        properties={"hs_timestamp": "2030-01-01T00:00:00Z", "hs_note_body": "called"},
        associations=[{"to": {"id": _contact(contacts).id}, "types": [kind]}],
    )
    made = notes.create(simple_public_object_input_for_create=note)
    assert made.properties["hs_note_body"] == "called"
    notes.archive(made.id)


def test_a_refresh_token_gets_an_access_token(client: HubSpot, sandbox: RunningSandbox) -> None:
    tokens = _pointed(client.oauth.tokens_api, sandbox)
    granted = tokens.create(
        grant_type="refresh_token",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        refresh_token=sandbox.set_tokens("hubspot"),
    )
    again = HubSpot(access_token=granted.access_token)
    assert _contact(_pointed(again.crm.contacts.basic_api, sandbox)).id

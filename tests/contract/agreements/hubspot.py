"""What we rely on of HubSpot's CRM API."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest
from pydantic import SecretStr

from integrations.conf import HubSpotSettings, load
from integrations.errors import PartnerRefused
from integrations.hubspot.client import HttpHubSpot
from integrations.hubspot.schemas import Contact, Note, Person
from integrations.oauth import flows
from integrations.oauth.exchange import FixedToken
from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.process import RunningSandbox
from tests.contract.terms import (
    BEARER,
    FORM,
    REFERENCE,
    TIMEOUT,
    Agreement,
    Partner,
    Unfit,
    from_state,
    path_of,
    reference,
    shaped,
    text,
    whole,
)

_CONTACTS = "/crm/v3/objects/contacts"
_NOTES = "/crm/v3/objects/notes"
_EMAIL = "ann@example.com"
_ANN = Person(email=_EMAIL, firstname="Ann")
_CONTACT = Contact(id="101", reference=REFERENCE)
_NOTE = Note(id="102", reference=REFERENCE)
_BY_REFERENCE = {"idProperty": "saga_reference", "properties": "saga_reference"}
_ASSOCIATION = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}


def _thing(example: str) -> dict[str, object]:
    return {"id": text(example), "properties": {"saga_reference": text(REFERENCE)}}


def _path(kind: str, example: str, name: str) -> object:
    start = f"/crm/v3/objects/{kind}"
    return path_of(f"{start}/{example}", f"^{start}/[^/]+$", f"{start}/${{{name}}}")


# Our client


def _client(address: str) -> HttpHubSpot:
    return HttpHubSpot(address, FixedToken(SecretStr("token-1")))


def _creates(address: str) -> None:
    assert _client(address).create_contact(_ANN, REFERENCE, timeout=TIMEOUT) == _CONTACT


def _finds_what_it_had_created(address: str) -> None:
    assert _client(address).create_contact(_ANN, REFERENCE, timeout=TIMEOUT) == _CONTACT


def _is_refused(address: str) -> None:
    with pytest.raises(PartnerRefused, match="another one with the same e-mail address exists"):
        _client(address).create_contact(_ANN, REFERENCE, timeout=TIMEOUT)


def _finds(address: str) -> None:
    assert _client(address).find_contact(REFERENCE, timeout=TIMEOUT) == _CONTACT


def _finds_nobody(address: str) -> None:
    assert _client(address).find_contact(REFERENCE, timeout=TIMEOUT) is None


def _finds_by_email(address: str) -> None:
    assert _client(address).find_contact_by_email(_EMAIL, timeout=TIMEOUT) == _CONTACT


def _reads(address: str) -> None:
    found = _client(address).read_contact("101", ["email", "lifecyclestage"], timeout=TIMEOUT)
    assert found is not None
    assert found["email"] == _EMAIL


def _updates(address: str) -> None:
    _client(address).update_contact("101", {"company": "Ann & Co"}, timeout=TIMEOUT)


def _archives(address: str) -> None:
    _client(address).archive_contact("101", timeout=TIMEOUT)


def _writes_note(address: str) -> None:
    assert _client(address).create_note("101", "Called.", REFERENCE, timeout=TIMEOUT) == _NOTE


def _finds_note(address: str) -> None:
    assert _client(address).find_note(REFERENCE, timeout=TIMEOUT) == _NOTE


def _archives_note(address: str) -> None:
    _client(address).archive_note("102", timeout=TIMEOUT)


def _renews(address: str) -> None:
    endpoint = f"{address}/oauth/v1/token"
    client = flows.Client("hubspot", "client-1", SecretStr("secret-1"), endpoint)
    grant = flows.by_refresh_token(client, "refresh-1", TIMEOUT)
    assert grant.access_token.get_secret_value() == "token-2"
    assert grant.expires_in == 1800


# The partner's states


def _credentials() -> Mapping[str, str]:
    token = load(HubSpotSettings).hubspot_access_token
    if token is None:
        raise Unfit("INTEGRATIONS_HUBSPOT_ACCESS_TOKEN, of a private app of a test account")
    return {"token": token.get_secret_value()}


def _there() -> HttpHubSpot:
    token = SecretStr(_credentials()["token"])
    return HttpHubSpot(str(load(HubSpotSettings).hubspot_url), FixedToken(token))


def _known() -> Mapping[str, str]:
    wanted, email = f"lead:{uuid4().hex}", f"{uuid4().hex}@example.com"
    made = _there().create_contact(Person(email=email), wanted, timeout=TIMEOUT)
    return {"id": made.id, "reference": wanted, "email": email}


def _taken() -> Mapping[str, str]:
    """Somebody else has the address."""
    return {**_known(), "reference": f"lead:{uuid4().hex}"}


def _noted() -> Mapping[str, str]:
    known = _known()
    note = _there().create_note(known["id"], "Called.", known["reference"], timeout=TIMEOUT)
    return {**known, "id": note.id}


def _consented(sandbox: RunningSandbox) -> Mapping[str, str]:
    refresh = sandbox.set_tokens("hubspot")
    return {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": refresh}


_NOBODY = Agreement(
    "a search for a contact who is not there",
    "nobody is known",
    "GET",
    _path("contacts", REFERENCE, "reference"),
    _finds_nobody,
    status=404,
    headers=BEARER,
    query=_BY_REFERENCE,
    answer={"category": "OBJECT_NOT_FOUND"},
)
_SOMEBODY = Agreement(
    "a search for a contact",
    "a contact is known",
    "GET",
    _path("contacts", REFERENCE, "reference"),
    _finds,
    headers=BEARER,
    query=_BY_REFERENCE,
    answer=_thing("101"),
)
_WANTED = {
    "properties": {
        "email": from_state(_EMAIL, "email"),
        "firstname": "Ann",
        "saga_reference": reference(),
    }
}
PARTNER = Partner(
    name="hubspot",
    address_variable="INTEGRATIONS_HUBSPOT_URL",
    credentials=_credentials,
    states={
        "nobody is known": dict,
        "a contact is known": _known,
        "somebody else has the e-mail address": _taken,
        "a note is written": _noted,
    },
    stand_in_states={"a person has consented": _consented},
    agreements=[
        Agreement(
            "a contact",
            "nobody is known",
            "POST",
            _CONTACTS,
            _creates,
            status=201,
            headers=BEARER,
            body=_WANTED,
            answer={"id": text("101")},
        ),
        Agreement(
            "a contact who is known already",
            "a contact is known",
            "POST",
            _CONTACTS,
            _finds_what_it_had_created,
            status=409,
            headers=BEARER,
            body=_WANTED,
            answer={"category": "CONFLICT"},
            also=(_SOMEBODY,),
        ),
        Agreement(
            "a contact whose e-mail address is taken",
            "somebody else has the e-mail address",
            "POST",
            _CONTACTS,
            _is_refused,
            status=409,
            headers=BEARER,
            body=_WANTED,
            answer={"category": "CONFLICT"},
            also=(_NOBODY,),
        ),
        _SOMEBODY,
        _NOBODY,
        Agreement(
            "a search for a contact by e-mail address",
            "a contact is known",
            "GET",
            path_of(
                f"{_CONTACTS}/ann%40example.com", f"^{_CONTACTS}/.+$", f"{_CONTACTS}/${{email}}"
            ),
            _finds_by_email,
            headers=BEARER,
            query={"idProperty": "email", "properties": "saga_reference"},
            answer=_thing("101"),
        ),
        Agreement(
            "a look at a contact's properties",
            "a contact is known",
            "GET",
            _path("contacts", "101", "id"),
            _reads,
            headers=BEARER,
            query={"properties": "email,lifecyclestage"},
            answer={"id": text("101"), "properties": {"email": text(_EMAIL)}},
        ),
        Agreement(
            "a change of a contact",
            "a contact is known",
            "PATCH",
            _path("contacts", "101", "id"),
            _updates,
            headers=BEARER,
            body={"properties": {"company": "Ann & Co"}},
            answer={"id": text("101")},
        ),
        Agreement(
            "a contact to archive",
            "a contact is known",
            "DELETE",
            _path("contacts", "101", "id"),
            _archives,
            status=204,
            headers=BEARER,
        ),
        Agreement(
            "a note",
            "a contact is known",
            "POST",
            _NOTES,
            _writes_note,
            status=201,
            headers=BEARER,
            body={
                "properties": {
                    "hs_note_body": "Called.",
                    "hs_timestamp": from_state("1767225600000", "now"),
                    "saga_reference": reference(),
                },
                "associations": [{"to": {"id": from_state("101", "id")}, "types": [_ASSOCIATION]}],
            },
            answer={"id": text("102")},
        ),
        Agreement(
            "a search for a note",
            "a note is written",
            "GET",
            _path("notes", REFERENCE, "reference"),
            _finds_note,
            headers=BEARER,
            query=_BY_REFERENCE,
            answer=_thing("102"),
        ),
        Agreement(
            "a note to archive",
            "a note is written",
            "DELETE",
            _path("notes", "102", "id"),
            _archives_note,
            status=204,
            headers=BEARER,
        ),
        Agreement(
            "a new access token",
            "a person has consented",
            "POST",
            "/oauth/v1/token",
            _renews,
            body={
                "grant_type": "refresh_token",
                "refresh_token": from_state("refresh-1", "refresh_token"),
                "client_id": from_state("client-1", "client_id"),
                "client_secret": from_state("secret-1", "client_secret"),
            },
            media=FORM,
            answer={
                "access_token": text("token-2"),
                "token_type": shaped("bearer", "^[Bb]earer$"),
                "expires_in": whole(1800),
            },
        ),
    ],
)

"""The stand-ins of HubSpot and Salesforce answer as their public API documents say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.process import RunningSandbox

CONTACTS, NOTES = "/crm/v3/objects/contacts", "/crm/v3/objects/notes"
OPPORTUNITY = "/services/data/v62.0/sobjects/Opportunity"
TOKENS = {"hubspot": "/oauth/v1/token", "salesforce": "/services/oauth2/token"}
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
DEAL = {"Name": "Lee", "StageName": "Prospecting", "CloseDate": "2030-01-31"}


@pytest.fixture
def http(sandbox: RunningSandbox) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sandbox.address) as client:
        yield client


@pytest.fixture
def hubspot(http: httpx2.Client) -> httpx2.Client:
    http.headers["Authorization"] = f"Bearer {ACCESS_TOKEN}"
    return http


@pytest.fixture
def salesforce(http: httpx2.Client) -> httpx2.Client:
    form = {"grant_type": "client_credentials", **CLIENT}
    token = http.post(TOKENS["salesforce"], data=form).json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"
    return http


def contact(http: httpx2.Client, **properties: str) -> httpx2.Response:
    address = {"email": f"{uuid4().hex}@example.com"}
    return http.post(CONTACTS, json={"properties": {**address, **properties}})


# --- HubSpot ---------------------------------------------------------------------------------


def test_a_contact_is_shown_with_what_was_asked_for(hubspot: httpx2.Client) -> None:
    made = contact(hubspot, firstname="Ann").json()
    assert made["properties"]["firstname"] == "Ann"
    assert made["properties"]["hs_object_id"] == made["id"]
    assert made["archived"] is False
    read = hubspot.get(f"{CONTACTS}/{made['id']}", params={"properties": "firstname,company"})
    assert read.json()["properties"]["firstname"] == "Ann"
    assert read.json()["properties"]["company"] is None
    assert "email" not in read.json()["properties"]


def test_an_address_that_is_taken_is_a_conflict_that_names_the_id(hubspot: httpx2.Client) -> None:
    made = contact(hubspot, email=f"{uuid4().hex}@example.com").json()
    again = contact(hubspot, email=made["properties"]["email"])
    assert again.status_code == 409
    error = again.json()
    assert error["category"] == "CONFLICT"
    assert error["message"] == f"Contact already exists. Existing ID: {made['id']}"
    assert error["correlationId"]


def test_an_address_is_kept_in_lower_case_and_found_in_any(hubspot: httpx2.Client) -> None:
    email = f"Ann.{uuid4().hex}@Example.com"
    made = contact(hubspot, email=email).json()
    assert made["properties"]["email"] == email.lower()
    assert contact(hubspot, email=email.upper()).status_code == 409
    read = hubspot.get(f"{CONTACTS}/{email.upper()}", params={"idProperty": "email"})
    assert read.json()["id"] == made["id"]


@pytest.mark.parametrize("given", ["1893456000000", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00"])
def test_a_time_is_shown_in_one_form_however_it_is_given(
    given: str, hubspot: httpx2.Client
) -> None:
    made = hubspot.post(NOTES, json={"properties": {"hs_timestamp": given}}).json()
    assert made["properties"]["hs_timestamp"] == "2030-01-01T00:00:00.000Z"


def test_a_unique_property_that_is_taken_is_invalid(hubspot: httpx2.Client) -> None:
    reference = uuid4().hex
    assert contact(hubspot, saga_reference=reference).status_code == 201
    again = contact(hubspot, saga_reference=reference)
    assert again.status_code == 400
    assert again.json()["category"] == "VALIDATION_ERROR"
    assert "CONFLICTING_UNIQUE_VALUE" in again.json()["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CONTACTS, {}),
        (CONTACTS, {"properties": {}}),
        (CONTACTS, {"properties": {"shoe_size": "44"}}),
        (CONTACTS, {"properties": ["email"]}),
        (CONTACTS, {"properties": {"email": "nobody"}}),
        (CONTACTS, {"properties": {"email": "a b@example.com"}}),
        (CONTACTS, {"properties": {"hs_lead_status": "HAPPY"}}),
        (CONTACTS, {"properties": {"firstname": "n" * 65_537}}),
        (NOTES, {"properties": {"hs_timestamp": "tomorrow"}}),
        (NOTES, {"properties": {"hs_timestamp": "9" * 20}}),
        (NOTES, {"properties": {"hs_note_body": "without a time"}}),
        (NOTES, {"properties": {"hs_timestamp": "1"}, "associations": [{}]}),
        (
            NOTES,
            {
                "properties": {"hs_timestamp": "1"},
                "associations": [{"to": {"id": "404404"}, "types": [{"associationTypeId": 202}]}],
            },
        ),
    ],
)
def test_what_hubspot_would_not_take_is_invalid(
    path: str, body: dict[str, Any], hubspot: httpx2.Client
) -> None:
    answer = hubspot.post(path, json=body)
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")


def test_what_is_archived_is_gone_and_its_address_free(hubspot: httpx2.Client) -> None:
    made = contact(hubspot, email=f"{uuid4().hex}@example.com").json()
    for _ in range(2):
        gone = hubspot.delete(f"{CONTACTS}/{made['id']}")
        assert (gone.status_code, gone.content) == (204, b"")
    read = hubspot.get(f"{CONTACTS}/{made['id']}")
    assert (read.status_code, read.json()["message"]) == (404, "resource not found")
    assert contact(hubspot, email=made["properties"]["email"]).status_code == 201


def test_without_a_valid_token_nothing_is_told(http: httpx2.Client) -> None:
    http.headers["Authorization"] = "Bearer made-up"
    answer = http.get(f"{CONTACTS}/1")
    assert (answer.status_code, answer.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")


# --- Salesforce ------------------------------------------------------------------------------


def test_an_upsert_makes_first_and_changes_then(salesforce: httpx2.Client) -> None:
    address = f"{OPPORTUNITY}/Saga_Key__c/{uuid4().hex}"
    first = salesforce.patch(address, json=DEAL)
    second = salesforce.patch(address, json={"Amount": 12.5})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == {
        "id": first.json()["id"],
        "success": True,
        "errors": [],
        "created": True,
    }
    assert second.json() == {**first.json(), "created": False}
    read = salesforce.get(address).json()
    assert (read["Id"], read["Name"], read["Amount"]) == (first.json()["id"], "Lee", 12.5)
    assert read["attributes"]["type"] == "Opportunity"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Name": "Lee"}, "REQUIRED_FIELD_MISSING"),
        ({**DEAL, "Shoe__c": "44"}, "INVALID_FIELD"),
        ({**DEAL, "Amount": "much"}, "JSON_PARSER_ERROR"),
        ({**DEAL, "Amount": 10**16}, "JSON_PARSER_ERROR"),
        ({**DEAL, "Name": "n" * 121}, "JSON_PARSER_ERROR"),
        ({**DEAL, "CloseDate": "31.01.2030"}, "JSON_PARSER_ERROR"),
        ({**DEAL, "CloseDate": "2030-02-30"}, "JSON_PARSER_ERROR"),
        ({**DEAL, "CloseDate": "20300131"}, "JSON_PARSER_ERROR"),
    ],
)
def test_errors_are_lists_with_codes(
    fields: dict[str, Any], code: str, salesforce: httpx2.Client
) -> None:
    answer = salesforce.patch(f"{OPPORTUNITY}/Saga_Key__c/{uuid4().hex}", json=fields)
    assert answer.status_code == 400
    ((error,),) = (answer.json(),)
    assert error["errorCode"] == code
    assert error["message"]


def test_an_amount_keeps_two_decimals(salesforce: httpx2.Client) -> None:
    address = f"{OPPORTUNITY}/Saga_Key__c/{uuid4().hex}"
    salesforce.patch(address, json={**DEAL, "Amount": 12.345678})
    assert salesforce.get(address).json()["Amount"] == 12.35


def test_a_token_names_the_address_that_was_asked(http: httpx2.Client) -> None:
    form = {"grant_type": "client_credentials", **CLIENT}
    token = http.post(TOKENS["salesforce"], data=form).json()
    assert token["instance_url"] == str(http.base_url).rstrip("/")
    assert token["id"].startswith(token["instance_url"])


def test_what_is_deleted_is_gone_and_told_apart_from_what_never_was(
    salesforce: httpx2.Client,
) -> None:
    address = f"{OPPORTUNITY}/Saga_Key__c/{uuid4().hex}"
    made = salesforce.patch(address, json=DEAL).json()["id"]
    assert salesforce.delete(f"{OPPORTUNITY}/{made}").status_code == 204
    again = salesforce.delete(f"{OPPORTUNITY}/{made}")
    assert (again.status_code, again.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
    never = salesforce.delete(f"{OPPORTUNITY}/006000000000000")
    assert (never.status_code, never.json()[0]["errorCode"]) == (404, "NOT_FOUND")
    assert salesforce.get(address).status_code == 404


def test_a_session_that_has_ended_is_told(
    salesforce: httpx2.Client, sandbox: RunningSandbox
) -> None:
    sandbox.set_tokens("salesforce", expire=True)
    answer = salesforce.get(f"{OPPORTUNITY}/Saga_Key__c/x")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (401, "INVALID_SESSION_ID")


# --- tokens ----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", TOKENS)
def test_a_refresh_token_that_rotates_is_for_one_use(
    service: str, http: httpx2.Client, sandbox: RunningSandbox
) -> None:
    refresh = sandbox.set_tokens(service, rotates=True)
    form = {"grant_type": "refresh_token", "refresh_token": refresh, **CLIENT}
    first = http.post(TOKENS[service], data=form)
    assert first.status_code == 200
    assert first.json()["refresh_token"] != refresh
    assert http.post(TOKENS[service], data=form).status_code == 400
    form["refresh_token"] = first.json()["refresh_token"]
    assert http.post(TOKENS[service], data=form).status_code == 200


def test_only_hubspot_tells_how_long_a_token_lives(
    http: httpx2.Client, sandbox: RunningSandbox
) -> None:
    refresh = {name: sandbox.set_tokens(name) for name in TOKENS}
    told = {
        name: http.post(
            path, data={"grant_type": "refresh_token", "refresh_token": refresh[name], **CLIENT}
        ).json()
        for name, path in TOKENS.items()
    }
    assert told["hubspot"]["expires_in"] == 1800
    assert "expires_in" not in told["salesforce"]


@pytest.mark.parametrize(
    ("service", "form", "code"),
    [
        ("salesforce", {"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ("salesforce", {"grant_type": "password"}, "unsupported_grant_type"),
        (
            "salesforce",
            {"grant_type": "client_credentials", "client_secret": "x"},
            "invalid_client",
        ),
        ("hubspot", {"grant_type": "refresh_token", "refresh_token": "x"}, "BAD_REFRESH_TOKEN"),
        ("hubspot", {"grant_type": "client_credentials"}, "BAD_GRANT_TYPE"),
    ],
)
def test_a_token_endpoint_says_why_it_gives_none(
    service: str, form: dict[str, str], code: str, http: httpx2.Client
) -> None:
    answer = http.post(TOKENS[service], data={**CLIENT, **form})
    assert answer.status_code == 400
    assert answer.json()["error" if service == "salesforce" else "status"] == code

"""What only the real client does. The rest is in the conformance suite."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from pydantic import SecretStr

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.hubspot import Person
from integrations.hubspot.client import HttpHubSpot, connect
from integrations.oauth import store
from integrations.oauth.exchange import FixedToken
from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response


@pytest.fixture
def ann() -> Person:
    return Person(f"ann+{uuid4().hex}@example.com", "Ann")


def create_at(status: str, body: object, *headers: str) -> None:
    """Create a contact at a HubSpot that always answers that."""
    with answering(response(json.dumps(body).encode(), status, *headers)) as address:
        client = HttpHubSpot(address, FixedToken(SecretStr("pat-1")))
        client.create_contact(Person("ann@example.com"), "r", timeout=5.0)


def an_error(category: str) -> dict[str, str]:
    message = "Contact ann@example.com is not wanted"
    return {"status": "error", "message": message, "correlationId": "c", "category": category}


@pytest.mark.parametrize(
    ("status", "category", "means"),
    [
        ("400 Bad Request", "VALIDATION_ERROR", PartnerRefused),
        ("403 Forbidden", "MISSING_SCOPES", PartnerRefused),
        ("423 Locked", "LOCKED", PartnerUnavailable),
        ("429 Too Many Requests", "RATE_LIMITS", PartnerUnavailable),
        ("477 Migration in Progress", "MIGRATION", PartnerUnavailable),
        ("502 Bad Gateway", "TIMEOUT", PartnerUnknown),
        ("503 Service Unavailable", "UNAVAILABLE", PartnerUnavailable),
    ],
)
def test_a_status_means_what_hubspot_says_it_means(
    status: str, category: str, means: type[Exception]
) -> None:
    with pytest.raises(means, match=category) as caught:
        create_at(status, an_error(category))
    assert "ann@" not in str(caught.value)


def test_a_migration_says_when_to_come_back() -> None:
    with pytest.raises(PartnerUnavailable) as caught:
        create_at("477 Migration in Progress", an_error("MIGRATION"), "Retry-After: 120")
    assert caught.value.retry_after == 120


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": "a b"}, {"id": 101}])
def test_a_contact_without_a_sensible_id_is_unknown(body: object) -> None:
    with pytest.raises(PartnerUnknown, match="Contact whose id is wrong"):
        create_at("201 Created", body)


def test_a_token_that_is_taken_no_more_makes_the_partner_unavailable() -> None:
    with pytest.raises(PartnerUnavailable, match="access token"):
        create_at("401 Unauthorized", an_error("EXPIRED_AUTHENTICATION"))


def test_who_has_a_taken_address_may_be_asked_again_if_the_look_up_failed(
    sandbox: RunningSandbox, reference: str, ann: Person
) -> None:
    client = connect()
    made = client.create_contact(ann, reference, timeout=10.0)
    sandbox.add_fault("drop-before", service="hubspot", operation="find_contact", times=1)
    with pytest.raises(PartnerUnavailable):
        client.create_contact(ann, reference, timeout=10.0)
    assert client.create_contact(ann, reference, timeout=10.0) == made


def test_any_address_and_reference_can_be_looked_up(sandbox: RunningSandbox) -> None:
    client = connect()
    reference, email = f"lead:ü/? {uuid4().hex}", f"o'hara/+%&?{uuid4().hex}@example.com"
    made = client.create_contact(Person(email), reference, timeout=10.0)
    assert client.find_contact(reference, timeout=10.0) == made
    assert client.find_contact_by_email(email, timeout=10.0) == made


@pytest.mark.django_db
def test_a_public_app_renews_its_token(
    sandbox: RunningSandbox, reference: str, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INTEGRATIONS_HUBSPOT_ACCESS_TOKEN")
    monkeypatch.setenv("INTEGRATIONS_HUBSPOT_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("INTEGRATIONS_HUBSPOT_CLIENT_SECRET", CLIENT_SECRET)
    with store.locked("hubspot", CLIENT_ID, 5.0) as token:
        store.authorize(token, sandbox.set_tokens("hubspot"))
    client = connect()
    made = client.create_contact(ann, reference, timeout=10.0)
    sandbox.set_tokens("hubspot", expire=True)
    assert client.find_contact(reference, timeout=10.0) == made


@pytest.mark.parametrize(
    "set_too", [{"ACCESS_TOKEN": ""}, {"CLIENT_ID": "id", "CLIENT_SECRET": "secret"}]
)
def test_one_way_in_is_needed_and_only_one(
    set_too: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTEGRATIONS_HUBSPOT_ACCESS_TOKEN", "pat-secret")
    for name, value in set_too.items():
        monkeypatch.setenv(f"INTEGRATIONS_HUBSPOT_{name}", value)
    with pytest.raises(ImproperlyConfigured, match="set either") as caught:
        connect()
    assert "pat-secret" not in str(caught.value)


def test_tokens_are_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_HUBSPOT_ACCESS_TOKEN", "pat-secret")
    monkeypatch.setenv("INTEGRATIONS_HUBSPOT_URL", "http://api.hubapi.com")
    with pytest.raises(ImproperlyConfigured, match=r"INTEGRATIONS_HUBSPOT_URL: .*https://"):
        connect()

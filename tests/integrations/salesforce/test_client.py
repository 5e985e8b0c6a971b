"""What only the real client does. The rest is in the conformance suite."""

from __future__ import annotations

import json
from datetime import date
from uuid import uuid4

import pytest
from django.core.exceptions import ImproperlyConfigured
from pydantic import SecretStr

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.oauth.exchange import FixedToken
from integrations.oauth.models import Token
from integrations.salesforce import Deal
from integrations.salesforce.client import HttpSalesforce, connect
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response

DEAL = Deal("Lee Ltd", "Prospecting", date(2030, 1, 31))


def create_at(status: str, body: object) -> None:
    """Create an opportunity at a Salesforce that always answers that."""
    with answering(response(json.dumps(body).encode(), status)) as address:
        client = HttpSalesforce(address, FixedToken(SecretStr("00D!token")))
        client.create_opportunity(DEAL, "r", timeout=5.0)


@pytest.mark.parametrize(
    ("status", "code", "means"),
    [
        ("400 Bad Request", "REQUIRED_FIELD_MISSING", PartnerRefused),
        ("400 Bad Request", "UNABLE_TO_LOCK_ROW", PartnerUnavailable),
        ("400 Bad Request", "DUPLICATE_VALUE", PartnerUnknown),
        ("403 Forbidden", "INSUFFICIENT_ACCESS", PartnerRefused),
        ("404 Not Found", "NOT_FOUND", PartnerRefused),
        ("500 Server Error", "UNKNOWN_EXCEPTION", PartnerUnknown),
        ("503 Service Unavailable", "SERVER_UNAVAILABLE", PartnerUnavailable),
    ],
)
def test_a_code_means_what_salesforce_says_it_means(
    status: str, code: str, means: type[Exception]
) -> None:
    with pytest.raises(means, match=code) as caught:
        create_at(status, [{"message": "ann@example.com is wrong", "errorCode": code}])
    assert "ann@" not in str(caught.value)


def test_an_external_id_that_several_have_is_refused() -> None:
    with pytest.raises(PartnerRefused, match="several have this external id"):
        create_at("300 Multiple Choices", ["/services/data/1", "/services/data/2"])


@pytest.mark.parametrize("body", [[], {}, [{}], [{"errorCode": 7}], "no", [{"errorCode": "a b"}]])
def test_an_error_without_a_sensible_code_is_told_by_its_status(body: object) -> None:
    with pytest.raises(PartnerRefused, match=r"answered 400$"):
        create_at("400 Bad Request", body)


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": None, "success": True}])
def test_an_opportunity_without_a_sensible_id_is_unknown(body: object) -> None:
    with pytest.raises(PartnerUnknown, match="Opportunity whose id is wrong"):
        create_at("201 Created", body)


@pytest.mark.django_db
def test_a_session_that_has_ended_is_renewed_within_the_call(
    sandbox: RunningSandbox, reference: str
) -> None:
    client = connect()
    made = client.create_opportunity(DEAL, reference, timeout=10.0)
    sandbox.set_tokens("salesforce", expire=True)
    assert client.create_opportunity(DEAL, reference, timeout=10.0) == made
    assert Token.objects.get(partner="salesforce").generation == 2
    assert len(sandbox.ledger.effects(reference)) == 1


@pytest.mark.django_db
def test_any_reference_can_be_an_external_id(sandbox: RunningSandbox) -> None:
    client = connect()
    reference = f"lead:ü/? {uuid4().hex}"
    made = client.create_opportunity(DEAL, reference, timeout=10.0)
    assert client.find_opportunity(reference, timeout=10.0) == made


def test_the_address_and_the_secret_are_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"INTEGRATIONS_SALESFORCE_{name}", raising=False)
    with pytest.raises(ImproperlyConfigured) as caught:
        connect()
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        assert f"INTEGRATIONS_SALESFORCE_{name}" in str(caught.value)


def test_secrets_are_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTEGRATIONS_SALESFORCE_CLIENT_ID", "id")
    monkeypatch.setenv("INTEGRATIONS_SALESFORCE_CLIENT_SECRET", "hunter2")
    monkeypatch.setenv("INTEGRATIONS_SALESFORCE_URL", "http://example.my.salesforce.com")
    with pytest.raises(ImproperlyConfigured, match="https://") as caught:
        connect()
    assert "hunter2" not in str(caught.value)

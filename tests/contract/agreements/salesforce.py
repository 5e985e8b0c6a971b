"""What we rely on of Salesforce's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from uuid import uuid4

import pytest
from pydantic import SecretStr

from integrations.conf import SalesforceSettings, load
from integrations.errors import PartnerRefused
from integrations.oauth import flows
from integrations.oauth.exchange import FixedToken
from integrations.salesforce.client import HttpSalesforce
from integrations.salesforce.schemas import Deal, Opportunity
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
    text,
)

_START = "/services/data/v62.0/sobjects/Opportunity"
_DEAL = Deal(name="Tea for Ann & Co", stage="Prospecting", closes=date(2030, 1, 31))
_FIELDS = {"Name": _DEAL.name, "StageName": _DEAL.stage, "CloseDate": "2030-01-31"}
_MADE = Opportunity(id="006A", reference="order:17")
_BY_REFERENCE = path_of(
    f"{_START}/Saga_Key__c/order%3A17",
    f"^{_START}/Saga_Key__c/[^/]+$",
    f"{_START}/Saga_Key__c/${{reference}}",
)
_BY_ID = path_of(f"{_START}/006A", rf"^{_START}/\w+$", f"{_START}/${{id}}")


# Our client


def _client(address: str) -> HttpSalesforce:
    return HttpSalesforce(address, FixedToken(SecretStr("token-1")))


def _creates(address: str) -> None:
    assert _client(address).create_opportunity(_DEAL, REFERENCE, timeout=TIMEOUT) == _MADE


def _is_refused(address: str) -> None:
    nameless = Deal(name="", stage=_DEAL.stage, closes=_DEAL.closes)
    with pytest.raises(PartnerRefused, match="400 REQUIRED_FIELD_MISSING"):
        _client(address).create_opportunity(nameless, REFERENCE, timeout=TIMEOUT)


def _finds(address: str) -> None:
    assert _client(address).find_opportunity(REFERENCE, timeout=TIMEOUT) == _MADE


def _finds_nothing(address: str) -> None:
    assert _client(address).find_opportunity(REFERENCE, timeout=TIMEOUT) is None


def _deletes(address: str) -> None:
    _client(address).delete_opportunity("006A", timeout=TIMEOUT)


def _asks_for_token(address: str) -> None:
    grant = flows.by_credentials(_token_client(address, "client-1", "secret-1"), TIMEOUT)
    assert grant.access_token.get_secret_value() == "token-2"


def _token_client(address: str, client_id: str, secret: str) -> flows.Client:
    endpoint = f"{address}/services/oauth2/token"
    return flows.Client("salesforce", client_id, SecretStr(secret), endpoint)


# The partner's states


def _credentials() -> Mapping[str, str]:
    settings = load(SalesforceSettings)
    if settings.salesforce_grant != "client_credentials":
        raise Unfit("a client of Salesforce's that may use the client-credentials flow")
    client_id = settings.salesforce_client_id
    secret = settings.salesforce_client_secret.get_secret_value()
    client = _token_client(str(settings.salesforce_url), client_id, secret)
    try:
        token = flows.by_credentials(client, TIMEOUT).access_token.get_secret_value()
    except flows.Denied as denied:
        raise Unfit(f"a client that Salesforce knows: {denied.code}") from None
    return {"token": token, "client_id": client_id, "client_secret": secret}


def _there() -> HttpSalesforce:
    token = SecretStr(_credentials()["token"])
    return HttpSalesforce(str(load(SalesforceSettings).salesforce_url), FixedToken(token))


def _known() -> Mapping[str, str]:
    wanted = f"lead:{uuid4().hex}"
    made = _there().create_opportunity(_DEAL, wanted, timeout=TIMEOUT)
    return {"id": made.id, "reference": wanted}


PARTNER = Partner(
    name="salesforce",
    address_variable="INTEGRATIONS_SALESFORCE_URL",
    credentials=_credentials,
    states={"nothing is known": dict, "an opportunity is known": _known},
    agreements=[
        Agreement(
            "an opportunity",
            "nothing is known",
            "PATCH",
            _BY_REFERENCE,
            _creates,
            status=201,
            headers=BEARER,
            body=_FIELDS,
            answer={"id": text("006A"), "success": True, "created": True},
        ),
        Agreement(
            "an opportunity that is known already",
            "an opportunity is known",
            "PATCH",
            _BY_REFERENCE,
            _creates,
            headers=BEARER,
            body=_FIELDS,
            answer={"id": text("006A"), "success": True, "created": False},
        ),
        Agreement(
            "an opportunity without a name",
            "nothing is known",
            "PATCH",
            _BY_REFERENCE,
            _is_refused,
            status=400,
            headers=BEARER,
            body={**_FIELDS, "Name": ""},
            answer=[{"errorCode": "REQUIRED_FIELD_MISSING"}],
        ),
        Agreement(
            "a search for an opportunity",
            "an opportunity is known",
            "GET",
            _BY_REFERENCE,
            _finds,
            headers=BEARER,
            answer={"Id": text("006A"), "Saga_Key__c": text("order:17")},
        ),
        Agreement(
            "a search for an opportunity that is not there",
            "nothing is known",
            "GET",
            _BY_REFERENCE,
            _finds_nothing,
            status=404,
            headers=BEARER,
            answer=[{"errorCode": "NOT_FOUND"}],
        ),
        Agreement(
            "an opportunity to delete",
            "an opportunity is known",
            "DELETE",
            _BY_ID,
            _deletes,
            status=204,
            headers=BEARER,
        ),
        Agreement(
            "an access token",
            "nothing is known",
            "POST",
            "/services/oauth2/token",
            _asks_for_token,
            body={
                "grant_type": "client_credentials",
                "client_id": from_state("client-1", "client_id"),
                "client_secret": from_state("secret-1", "client_secret"),
            },
            media=FORM,
            answer={"access_token": text("token-2"), "token_type": "Bearer"},
        ),
    ],
)

"""simple-salesforce against the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound

from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.process import RunningSandbox
from tests.contract.clients.detour import Detour

DEAL = {"Name": "Lee", "StageName": "Prospecting", "CloseDate": "2030-01-31"}


@pytest.fixture
def opportunities(sandbox: RunningSandbox) -> Iterator[Any]:
    """Opportunities, by a session that its own token opened."""
    with requests.Session() as session:
        session.mount("https://", Detour(sandbox.address, "example.my.salesforce.com"))
        client = Salesforce(
            consumer_key=CLIENT_ID,
            consumer_secret=CLIENT_SECRET,
            domain="example.my",
            session=session,
            version="62.0",
        )
        yield client.Opportunity


def test_an_opportunity_is_made_changed_read_and_deleted(opportunities: Any) -> None:
    reference = f"Saga_Key__c/{uuid4().hex}"
    assert opportunities.upsert(reference, DEAL) == 201
    assert opportunities.upsert(reference, {"Amount": 12.345}) == 200
    read = opportunities.get(reference)
    assert (read["Name"], read["Amount"]) == ("Lee", 12.35)
    assert opportunities.delete(read["Id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        opportunities.get(reference)


@pytest.mark.parametrize("wrong", [{"Shoe__c": "44"}, {"CloseDate": "soon"}, {"Name": ""}])
def test_what_the_stand_in_does_not_take_is_refused(opportunities: Any, wrong: Any) -> None:
    with pytest.raises(SalesforceMalformedRequest):
        opportunities.upsert(f"Saga_Key__c/{uuid4().hex}", {**DEAL, **wrong})

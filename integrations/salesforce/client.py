"""Salesforce's client: its REST API, as JSON over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from integrations import http
from integrations.call import Call
from integrations.conf import SalesforceSettings, load
from integrations.errors import PartnerError
from integrations.oauth.exchange import Source, send
from integrations.oauth.flows import Client
from integrations.salesforce.schemas import Deal, Opportunity

API = "v62.0"
"""The version of the API, which Salesforce keeps for three years at least."""

EXTERNAL_ID = "Saga_Key__c"
"""The field of opportunities that holds our reference: custom, unique, an external id."""


def connect() -> HttpSalesforce:
    """A client for the organisation that the environment names."""
    from integrations.oauth.tokens import Tokens  # its rows need Django's apps

    settings = load(SalesforceSettings)
    client = Client(
        "salesforce",
        settings.salesforce_client_id,
        settings.salesforce_client_secret,
        f"{settings.salesforce_url}/services/oauth2/token",
    )
    return HttpSalesforce(str(settings.salesforce_url), Tokens(client, settings.salesforce_grant))


class HttpSalesforce:
    """Salesforce over HTTP."""

    def __init__(self, address: str, tokens: Source) -> None:
        self._opportunities = f"{address}/services/data/{API}/sobjects/Opportunity"
        self._tokens = tokens

    def create_opportunity(self, deal: Deal, reference: str, *, timeout: float) -> Opportunity:
        call = Call.within(timeout, "salesforce", "create_opportunity", keyed=True)
        reply = self._send(call, "PATCH", self._by_reference(reference), _fields(deal))
        if reply.status not in (200, 201):
            raise _failure(call, reply)
        made = http.parse(call, reply)
        return call.shape(Opportunity, {"id": made.get("id"), "reference": reference})

    def find_opportunity(self, reference: str, *, timeout: float) -> Opportunity | None:
        call = Call.within(timeout, "salesforce", "find_opportunity", writes=False)
        reply = self._send(call, "GET", self._by_reference(reference))
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise _failure(call, reply)
        found = http.parse(call, reply)
        return call.shape(Opportunity, {"id": found.get("Id"), "reference": found.get(EXTERNAL_ID)})

    def delete_opportunity(self, opportunity_id: str, *, timeout: float) -> None:
        call = Call.within(timeout, "salesforce", "delete_opportunity", keyed=True)
        url = f"{self._opportunities}/{quote(opportunity_id, safe='')}"
        reply = self._send(call, "DELETE", url)
        if reply.status not in (204, 404):
            raise _failure(call, reply)

    def _by_reference(self, reference: str) -> str:
        return f"{self._opportunities}/{EXTERNAL_ID}/{quote(reference, safe='')}"

    def _send(
        self, call: Call, method: str, url: str, body: Mapping[str, Any] | None = None
    ) -> http.Reply:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        tokens = self._tokens
        return send(call, tokens, method, url, headers=headers, content=content, failure=_failure)


def _fields(deal: Deal) -> dict[str, Any]:
    fields = {"Name": deal.name, "StageName": deal.stage, "CloseDate": deal.closes.isoformat()}
    return fields if deal.amount is None else {**fields, "Amount": float(deal.amount)}


_LIMIT, _LOCKED = "REQUEST_LIMIT_EXCEEDED", "UNABLE_TO_LOCK_ROW"
"""Codes of the statuses 403 and 400 that do not mean no for ever: a limit on calls, which the
message names; somebody else is writing the same rows."""

_TAKEN = "DUPLICATE_VALUE"
"""Of status 400: an earlier call with our external id, given up but still at work, was quicker."""

PAUSE = 900.0
"""Seconds until another try when the calls of 24 hours are spent (TotalRequests): Salesforce does
not say when, but some come back as the 24 hours move on."""
AT_ONCE = 5.0
"""Seconds of the same when too many long calls are under way (ConcurrentRequests and the like)."""


def _failure(call: Call, reply: http.Reply) -> PartnerError:
    # Its message may quote data.
    code = http.word(reply, 0, "errorCode")
    if code == _LIMIT and http.text(reply, 0, "message").startswith("Concurrent"):
        return call.over_limit(f"answered {reply.status} {code}", AT_ONCE)
    if code == _LIMIT:
        return call.quota_spent(f"answered {reply.status} {code}", reply.headers, PAUSE)
    if code == _TAKEN:
        return call.unknown(f"answered {reply.status} {code}")
    if code == _LOCKED:
        return call.unavailable(f"answered {reply.status} {code}")
    if 300 <= reply.status < 400:
        return call.refused(f"answered {reply.status}: several have this external id")
    return call.failure(reply.status, reply.headers, code)

"""An account at the sandbox's Salesforce or HubSpot, and what its token endpoint was asked."""

from __future__ import annotations

from pydantic import SecretStr

from integrations import http
from integrations.call import Call
from integrations.oauth import store
from integrations.oauth.exchange import send
from integrations.oauth.flows import Client
from integrations.oauth.models import Token
from integrations.oauth.tokens import Tokens
from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.process import RunningSandbox

ENDPOINTS = {"salesforce": "/services/oauth2/token", "hubspot": "/oauth/v1/token"}
THINGS = {
    "salesforce": "/services/data/v62.0/sobjects/Opportunity/Saga_Key__c/none",
    "hubspot": "/crm/v3/objects/contacts/none",
}


class Account:
    """Ours at one partner, by one grant."""

    def __init__(
        self, sandbox: RunningSandbox, partner: str, grant: str, secret: str = CLIENT_SECRET
    ) -> None:
        self.sandbox = sandbox
        self.partner = partner
        endpoint = f"{sandbox.address}{ENDPOINTS[partner]}"
        self.client = Client(partner, CLIENT_ID, SecretStr(secret), endpoint)
        self.tokens = Tokens(self.client, grant)  # type: ignore[arg-type]
        self.asked_before = self._asked()

    def authorize(self, refresh: str) -> None:
        """Store a refresh token, as `manage.py oauth authorize` does."""
        with store.locked(self.partner, CLIENT_ID, 5.0) as token:
            store.authorize(token, refresh)

    def ask(self, timeout: float = 10.0) -> http.Reply:
        """Ask the partner for a thing that is not there: 404 if the token is taken."""
        call = Call.within(timeout, self.partner, "look", writes=False)
        return send(call, self.tokens, "GET", f"{self.sandbox.address}{THINGS[self.partner]}")

    @property
    def asked(self) -> int:
        """How often the token endpoint was asked since this account was made."""
        return self._asked() - self.asked_before

    def _asked(self) -> int:
        arrivals = self.sandbox.ledger.arrivals()
        return sum((a.service, a.operation) == (self.partner, "token") for a in arrivals)

    @property
    def row(self) -> Token:
        """Its row."""
        token = store.read(self.partner, CLIENT_ID)
        assert token is not None
        return token

"""The sandbox to be fuzzed: every stand-in at once, with its keys and tokens."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.schemas import BaseSchema

from integrations.accounts.credentials import ServiceAccount
from integrations.sandbox import google, slack
from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.process import API_KEY, RunningSandbox
from tests.contract.fuzz import configuration


def sandbox(running: RunningSandbox, examples: int, seed: int) -> BaseSchema:
    """The sandbox's description, ready to be fuzzed."""
    headers = {path: {"Authorization": f"Bearer {t}"} for path, t in _tokens(running).items()}
    config = configuration(examples, seed, headers=headers, known=_KNOWN)
    schema = schemathesis.openapi.from_url(f"{running.address}/openapi.json", config=config)
    schema.hook(filter_failure)
    return schema


_KNOWN = {
    "path.id": [slack.TOKEN, google.PROJECT],
    "body.email": [f"customer{number}@example.com" for number in range(20)],
}


def _tokens(running: RunningSandbox) -> dict[str, str]:
    """What opens each stand-in, by its paths."""
    return {
        "^/v1/(payment_intents|refunds|customers|subscriptions)": API_KEY,
        "^/crm/": ACCESS_TOKEN,
        "^/services/data/": _given(
            f"{running.address}/services/oauth2/token",
            grant_type="client_credentials",
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
        ),
        "^/v1/projects/": _asserted(running),
    }


def _asserted(running: RunningSandbox) -> str:
    url = f"{running.address}{google.TOKEN_PATH}"
    account = ServiceAccount.read(google.credentials(running.ledger.path))
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    return _given(url, grant_type=grant, assertion=account.assertion(url, time.time()))


def _given(url: str, **asked: str) -> str:
    return str(httpx2.post(url, data=asked, timeout=10).json()["access_token"])


def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Called by Schemathesis with each failure; gives whether it is one.

    What was done before decides, too: no description of one request can say that it must bring a
    key of its own, or that a payment must not be canceled yet.
    """
    return not any(reason in response.text for reason in _FOR_WHAT_WAS_BEFORE)


_FOR_WHAT_WAS_BEFORE = (
    "This key was first used for another request.",
    "payment_intent_unexpected_state",
    "charge_already_refunded",
    '"deleted": true',  # what is left of a customer can be read at Stripe
    "USER_NOT_FOUND",
    "DUPLICATE_LOCAL_ID",
    "EMAIL_EXISTS",
    "INVALID_EMAIL",  # what one is Firebase knows better than a description can say
    "CONFLICTING_UNIQUE_VALUE",
    "The association is not valid",
    "REQUIRED_FIELD_MISSING",
)

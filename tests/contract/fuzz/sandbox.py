"""The sandbox to be fuzzed: every stand-in at once, with its keys and tokens."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.schemas import BaseSchema

from integrations.sandbox import google, slack
from integrations.sandbox.process import RunningSandbox
from tests.contract.fuzz import configuration
from tests.integrations.sandbox.tokens import tokens


def sandbox(running: RunningSandbox, examples: int, seed: int) -> BaseSchema:
    """The sandbox's description, ready to be fuzzed."""
    headers = {path: {"Authorization": f"Bearer {t}"} for path, t in tokens(running).items()}
    config = configuration(examples, seed, headers=headers, known=_KNOWN)
    schema = schemathesis.openapi.from_url(f"{running.address}/openapi.json", config=config)
    schema.hook(filter_failure)
    return schema


_KNOWN = {
    "path.id": [slack.TOKEN, google.PROJECT],
    "body.email": [f"customer{number}@example.com" for number in range(20)],
}


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
    # One field depends on another.
    "amount_too_small",
    "the least significant digit must be 0",
    "no_text",
    # What a token is given for no description can say.
    "grant_type",
    "grant type",
    "invalid_grant",
    "missing or invalid refresh token",
    "invalid_client",
)

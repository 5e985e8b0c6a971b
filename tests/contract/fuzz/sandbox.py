"""The sandbox to be fuzzed: every stand-in at once, with its keys and tokens."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.schemas import BaseSchema

from integrations.sandbox.process import API_KEY, RunningSandbox
from tests.contract.fuzz import configuration


def sandbox(running: RunningSandbox, examples: int, seed: int) -> BaseSchema:
    """The sandbox's description, ready to be fuzzed."""
    config = configuration(examples, seed, headers={"Authorization": f"Bearer {API_KEY}"})
    schema = schemathesis.openapi.from_url(f"{running.address}/openapi.json", config=config)
    schema.hook(filter_failure)
    return schema


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
)

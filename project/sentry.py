"""Sends errors to Sentry, without the data of customers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.httpx2 import Httpx2Integration
from sentry_sdk.types import Event, Hint

from sagas.define.mask import masked_text


def report_errors(dsn: str, environment: str) -> None:
    """Start reporting, without local variables and request bodies, since both hold payloads.

    Calls to partners leave no trail: their addresses hold secrets and customers' e-mail addresses.
    Nor do partners learn which release of ours called them. Data about persons is off by default,
    and errors' texts, which may quote it, are masked.
    """
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        include_local_variables=False,
        max_request_body_size="never",
        disabled_integrations=[Httpx2Integration()],
        trace_propagation_targets=[],
        before_send=_masked,
    )


def _masked(event: Event, hint: Hint) -> Event:
    """An event whose errors say no more than is harmless; where they were raised stays."""
    for error in _errors(event):
        if isinstance(text := error.get("value"), str):
            error["value"] = masked_text(text)
    return event


def _errors(event: Event) -> Iterator[dict[str, Any]]:
    found = event.get("exception") or {}
    yield from (error for error in found.get("values") or () if isinstance(error, dict))

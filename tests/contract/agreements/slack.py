"""What we rely on of Slack's incoming webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from integrations.conf import SlackSettings, load
from integrations.errors import PartnerRefused
from integrations.slack.client import SlackWebhook
from tests.contract.terms import REFERENCE, TIMEOUT, Agreement, Partner, path_of

_PATH = "/services/T1/B1/secret1"
_WEBHOOK = path_of(_PATH, r"^/services/\w+/\w+/\w+$", "${path}")
_UNKNOWN = path_of("/services/T1/B1/wrong1", r"^/services/\w+/\w+/\w+$", "${path}x")


def _posts(address: str) -> None:
    _to(f"{address}{_PATH}").post("An order waits.", REFERENCE, timeout=TIMEOUT)


def _is_refused(address: str) -> None:
    with pytest.raises(PartnerRefused, match="403 invalid_token"):
        _to(f"{address}/services/T1/B1/wrong1").post("Hello.", REFERENCE, timeout=TIMEOUT)


def _to(address: str) -> SlackWebhook:
    return SlackWebhook(SlackSettings(slack_webhook_url=SecretStr(address)))


def _credentials() -> Mapping[str, str]:
    return {"path": urlsplit(load(SlackSettings).slack_webhook_url.get_secret_value()).path}


PARTNER = Partner(
    name="slack",
    address_variable="INTEGRATIONS_SLACK_WEBHOOK_URL",
    credentials=_credentials,
    states={"the channel takes messages": dict},
    agreements=[
        Agreement(
            "a message",
            "the channel takes messages",
            "POST",
            _WEBHOOK,
            _posts,
            body={"text": f"An order waits. `{REFERENCE}`"},
            answer="ok",
        ),
        Agreement(
            "a message to an address that is none",
            "the channel takes messages",
            "POST",
            _UNKNOWN,
            _is_refused,
            status=403,
            body={"text": f"Hello. `{REFERENCE}`"},
            answer="invalid_token",
        ),
    ],
)

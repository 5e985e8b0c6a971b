"""What opens each stand-in."""

from __future__ import annotations

import time
from collections.abc import Mapping

import httpx2

from integrations.accounts.credentials import ServiceAccount
from integrations.sandbox import google
from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.process import API_KEY, RunningSandbox


def tokens(running: RunningSandbox) -> Mapping[str, str]:
    """The token that a stand-in takes, by a pattern of its paths."""
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

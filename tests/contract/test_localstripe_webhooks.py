"""localstripe calls us: its events, signed by code that others wrote, over sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from pytest_django.live_server_helper import LiveServer

from integrations.models import PartnerObject, WebhookEvent
from integrations.webhooks import hint, sources
from integrations.webhooks.work import work
from tests.contract.conftest import running_localstripe

WHSEC = "whsec_that_localstripe_signs_with"


@pytest.fixture
def stripe(
    live_server: LiveServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of a localstripe that calls our site."""
    monkeypatch.setenv("INTEGRATIONS_WEBHOOKS_PAYMENTS_SECRETS", WHSEC)
    monkeypatch.setattr(hint, "send", lambda: True)
    sources.forget()
    with running_localstripe(tmp_path) as address:
        url = f"{live_server.url}/webhooks/payments"
        ask(address, "_config/webhooks/ours", url=url, secret=WHSEC)
        yield address
    sources.forget()


def ask(address: str, path: str, method: str = "POST", **fields: object) -> str:
    """Send a form; the id of what was made."""
    request = Request(
        f"{address}/{path}",
        data=urlencode(fields).encode(),
        method=method,
        headers={"Authorization": "Bearer sk_test_12345"},
    )
    with urlopen(request, timeout=10) as answer:
        return str(json.loads(answer.read() or b"{}").get("id"))


def told(kind: str) -> WebhookEvent:
    """The event of that kind, when it has come: localstripe takes a second."""
    for _ in range(200):
        if event := WebhookEvent.objects.filter(kind=kind).first():
            return event
        time.sleep(0.05)
    raise AssertionError(f"no {kind} has come")


def test_what_becomes_of_a_subscription_is_kept(stripe: str) -> None:
    customer = ask(stripe, "v1/customers", email="ann@example.com")
    ask(stripe, "v1/plans", **_PLAN)
    ordered: dict[str, Any] = {
        "customer": customer,
        "items[0][plan]": "tea",
        "trial_period_days": 30,
    }
    made = ask(stripe, "v1/subscriptions", **ordered)
    created = told("customer.subscription.created")
    work()
    known = PartnerObject.objects.get(source="payments")
    assert (known.subject, known.state["customer"]) == (made, customer)
    ask(stripe, f"v1/subscriptions/{made}", method="DELETE")
    deleted = told("customer.subscription.deleted")
    work()
    known.refresh_from_db()
    assert (known.state["status"], known.told_by) == ("canceled", deleted.event_id)
    assert set(WebhookEvent.objects.values_list("status", flat=True)) <= {"done", "ignored"}
    assert created.occurred_at is not None


_TRIAL: dict[str, Any] = {"items[0][plan]": "tea", "trial_period_days": 30}
_PLAN: dict[str, Any] = {
    "id": "tea",
    "amount": 900,
    "currency": "eur",
    "interval": "month",
    "product[name]": "Tea",
}

"""A quota that is spent: what each vendor says of it, over a socket, and the hold that follows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.db import OperationalError
from django.utils import timezone
from pydantic import SecretStr

from integrations.accounts.client import FirebaseAccounts
from integrations.analytics.client import GoogleAnalytics
from integrations.call import MAX_QUOTA, Call
from integrations.conf import AccountsSettings, AnalyticsSettings, PaymentsSettings, SlackSettings
from integrations.errors import OverLimit, PartnerUnavailable, QuotaSpent
from integrations.hubspot import Person
from integrations.hubspot.client import HttpHubSpot
from integrations.oauth.exchange import FixedToken
from integrations.payments.client import StripePayments
from integrations.resilience import guarded, quota, state
from integrations.resilience.state import State
from integrations.sagas.outcomes import PARTNER_ERRORS
from integrations.salesforce.client import HttpSalesforce
from integrations.slack.client import SlackWebhook
from sagas.define import registry
from sagas.models import Hold
from sagas.operate.hold import hold, lift
from sagas.testing.post import Post
from tests.integrations.http.raw import answering, response
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, well, write
from tests.sagas.flows import flow
from tests.sagas.operate.parked import ANN, WHY
from tests.sagas.stage import Actor, begun, carried, row

pytestmark = pytest.mark.django_db

TOKEN = FixedToken(SecretStr("a-token"))
A_DAY, A_MINUTE = 86_400, 60.0


def hubspot(at: str) -> None:
    HttpHubSpot(at, TOKEN).create_contact(Person("ann@example.com"), "r", timeout=5.0)


def salesforce(at: str) -> None:
    HttpSalesforce(at, TOKEN).find_opportunity("r", timeout=5.0)


def accounts(at: str) -> None:
    settings = AccountsSettings(accounts_credentials=Path("unread"), accounts_url=at)
    FirebaseAccounts(settings, "p", TOKEN).find("r", timeout=5.0)


def analytics(at: str) -> None:
    settings = AnalyticsSettings(
        analytics_url=at,
        analytics_measurement_id="G-ABCD1234",
        analytics_api_secret=SecretStr("s"),
    )
    GoogleAnalytics(settings).record("sign_up", {"method": "form"}, "r", timeout=5.0)


def slack(at: str) -> None:
    settings = SlackSettings(slack_webhook_url=SecretStr(f"{at}/services/T1/B1/hush"))
    SlackWebhook(settings).post("Hello", "r", timeout=5.0)


def payments(at: str) -> None:
    settings = PaymentsSettings(payments_api_base=at, payments_api_key=SecretStr("sk_test_1"))
    StripePayments(settings).find_capture("pi_1", timeout=5.0)


def google(retry_delay: str | None = None) -> dict[str, Any]:
    """An error as Google's APIs have it."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": retry_delay}
    details = [{"@type": "type.googleapis.com/google.rpc.QuotaFailure"}, info]
    named = {"code": 429, "message": "Quota exceeded for ann", "status": "RESOURCE_EXHAUSTED"}
    return {"error": named | ({"details": details} if retry_delay else {})}


DAILY = {"status": "error", "message": "You have reached your daily limit.", "policyName": "DAILY"}
ROLLING = {**DAILY, "policyName": "TEN_SECONDLY_ROLLING"}


def limit(message: str) -> list[dict[str, str]]:
    """What Salesforce says of a limit on calls."""
    return [{"message": message, "errorCode": "REQUEST_LIMIT_EXCEEDED"}]


TOTAL = limit("TotalRequests Limit exceeded.")
FIREBASE = {"error": {"code": 400, "message": "QUOTA_EXCEEDED : Exceeded quota for ann"}}
RATE = {"error": {"type": "invalid_request_error", "code": "rate_limit"}}

Ask = Callable[[str], None]
ASKS: dict[str, Ask] = {
    "hubspot": hubspot,
    "salesforce": salesforce,
    "accounts": accounts,
    "analytics": analytics,
    "slack": slack,
    "payments": payments,
}


def told(ask: Ask, status: str, body: object, *headers: str) -> PartnerUnavailable:
    """What a connector makes of an answer."""
    answer = response(json.dumps(body).encode(), status, *headers)
    with answering(answer) as address, pytest.raises(PartnerUnavailable) as caught:
        ask(address)
    return caught.value


@pytest.mark.parametrize(
    ("partner", "status", "body", "headers", "seconds"),
    [
        ("hubspot", "429 Too Many Requests", DAILY, ["Retry-After: 30"], 30),
        ("hubspot", "429 Too Many Requests", DAILY, [f"Retry-After: {A_DAY}"], A_DAY),
        ("salesforce", "403 Forbidden", TOTAL, [], 900),
        ("salesforce", "403 Forbidden", TOTAL, ["Retry-After: 7200"], 7200),
        ("accounts", "429 Too Many Requests", google(), [], 60),
        ("accounts", "429 Too Many Requests", google("86400s"), [], A_DAY),
        ("accounts", "429 Too Many Requests", google(), ["Retry-After: 3600"], 3600),
        ("accounts", "400 Bad Request", FIREBASE, [], 60),
        ("analytics", "429 Too Many Requests", google("7200s"), [], 7200),
        ("slack", "429 Too Many Requests", {"error": "ratelimited"}, ["Retry-After: 3600"], 3600),
        ("payments", "429 Too Many Requests", RATE, ["Retry-After: 120"], 120),
        ("payments", "429 Too Many Requests", RATE, ["Retry-After: 999999999"], A_DAY),
    ],
)
def test_what_a_vendor_says_of_a_quota_holds_it_until_the_moment_that_it_names(
    partner: str, status: str, body: object, headers: list[str], seconds: float
) -> None:
    error = told(ASKS[partner], status, body, *headers)
    assert isinstance(error, QuotaSpent)
    assert "ann" not in str(error)
    placed = Hold.objects.get()
    assert (placed.kind, placed.target, placed.source) == ("partner", partner, quota.SOURCE)
    assert placed.reason == f"its quota is spent: {error.detail}"
    assert placed.ends_at is not None
    lasts = (placed.ends_at - placed.placed_at).total_seconds()
    assert lasts == pytest.approx(seconds, abs=0.001)
    assert error.retry_after == 0, "the hold says when"


def test_a_day_of_hubspots_may_begin_at_the_next_full_hour() -> None:
    told(hubspot, "429 Too Many Requests", DAILY)
    ends = Hold.objects.get().ends_at
    assert ends is not None
    to_the_hour = ends.timestamp() % 3600
    assert min(to_the_hour, 3600 - to_the_hour) < A_MINUTE
    assert 0 < ends.timestamp() - time.time() <= 3600 + A_MINUTE


@pytest.mark.parametrize(
    ("partner", "status", "body", "headers"),
    [
        ("hubspot", "429 Too Many Requests", ROLLING, ["Retry-After: 10"]),
        ("hubspot", "429 Too Many Requests", ROLLING, []),
        ("salesforce", "403 Forbidden", limit("ConcurrentRequests Limit exceeded."), []),
        ("salesforce", "403 Forbidden", limit("ConcurrentPerOrgLongTxn Limit exceeded."), []),
        ("slack", "429 Too Many Requests", {"error": "ratelimited"}, ["Retry-After: 30"]),
        ("accounts", "429 Too Many Requests", google("3.5s"), []),
        ("analytics", "429 Too Many Requests", google(), ["Retry-After: 60"]),
        ("payments", "429 Too Many Requests", RATE, []),
    ],
)
def test_a_rate_is_no_quota_and_calls_wait_in_the_gate(
    partner: str, status: str, body: object, headers: list[str]
) -> None:
    ask = ASKS[partner]
    assert not isinstance(told(ask, status, body, *headers), QuotaSpent)
    assert not Hold.objects.exists()
    with answering(b"") as address, pytest.raises(PartnerUnavailable, match="budget of its rate"):
        ask(address)


# --- the hold ------------------------------------------------------------------------------


def spent(call: Call) -> str:
    raise QuotaSpent(call.partner, call.operation, "answered 429", 1800.0)


def find_out(ask: Callable[[Call], str] = spent) -> QuotaSpent:
    with pytest.raises(QuotaSpent) as caught:
        guarded(write(keyed=True), ask)
    return caught.value


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path / "post").open() as post:
        yield post


@pytest.mark.usefixtures("post")
def test_a_step_that_is_told_of_it_spends_no_attempt_and_is_undone_by_nothing() -> None:
    actor = Actor()
    actor.answers["do a"] = lambda run: guarded(write(), spent)
    with registry.isolated():
        saga = flow([actor.step("a", partner=PARTNER)], errors=PARTNER_ERRORS)
        registry.register(saga)
        run_id = begun(saga)
        carried(run_id, "a")
        assert (row(run_id, "a").status, row(run_id, "a").tries) == ("waiting", 0)
        assert Hold.objects.get().target == PARTNER
        carried(run_id, "a")
        assert actor.calls == ["do a"], "it is held"


def test_it_is_asked_once_a_call_and_the_partner_is_well(configure: Configure) -> None:
    configure(breaker={"minimum": 1})
    asked = 0

    def ask(call: Call) -> str:
        nonlocal asked
        asked += 1
        return spent(call)

    find_out(ask)
    assert asked == 1
    (seen,) = state.standings([PARTNER])
    assert (seen.state, seen.failed) == (State.CLOSED, 0)


def test_what_waits_goes_on_at_the_partners_rate(configure: Configure) -> None:
    configure(rate={"per_second": 7})
    find_out()
    assert Hold.objects.get().per_second == 7


def test_who_is_told_while_it_is_held_changes_nothing() -> None:
    find_out()
    (before,) = Hold.objects.values()
    find_out()
    assert Hold.objects.get() is not None
    assert [*Hold.objects.values()] == [before]


def test_a_hold_of_a_person_stands_beside_it_without_an_end() -> None:
    placed = hold("partner", PARTNER, by=ANN, reason="they rebuild")
    find_out()
    placed.refresh_from_db()
    assert (placed.ends_at, placed.lifted_at) == (None, None)
    assert Hold.objects.count() == 2


def test_after_a_person_has_lifted_it_the_next_call_asks_and_holds_again_if_it_must() -> None:
    find_out()
    lift(Hold.objects.get().pk, **WHY)
    assert guarded(write(), well) == "done", "nothing else keeps calls away"
    find_out()
    assert Hold.objects.filter(lifted_at=None).count() == 1


def test_a_call_that_was_under_way_when_it_was_lifted_holds_nothing() -> None:
    find_out()

    def lifted_meanwhile(call: Call) -> str:
        lift(Hold.objects.get().pk, **WHY)
        Hold.objects.update(lifted_at=timezone.now())  # a test is one transaction, and one moment
        return spent(call)

    assert find_out(lifted_meanwhile).retry_after == 0
    assert not Hold.objects.filter(lifted_at=None).exists()


def test_without_a_database_the_answer_counts_and_says_when_to_come_back() -> None:
    with patch("sagas.api.hold_partner", side_effect=OperationalError):
        assert find_out().retry_after == 1800


def test_what_no_step_names_cannot_be_held_and_the_answer_says_when() -> None:
    def ask(call: Call) -> str:
        raise QuotaSpent("weather", call.operation, "answered 429", 1800.0)

    assert find_out(ask).retry_after == 1800
    assert not Hold.objects.exists()


def test_a_429_is_about_a_quota_if_it_lasts_longer_than_a_rate_can() -> None:
    def limited(seconds: float) -> Callable[[Call], str]:
        def ask(call: Call) -> str:
            raise OverLimit(call.partner, call.operation, "answered 429", seconds)

        return ask

    with pytest.raises(OverLimit):
        guarded(write(credential="a"), limited(quota.LONGEST_RATE))
    assert not Hold.objects.exists()
    find_out(limited(quota.LONGEST_RATE + 1))
    find_out(limited(MAX_QUOTA))
    assert Hold.objects.count() == 1

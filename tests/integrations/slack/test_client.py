"""What only the real client does. The rest is in the conformance suite."""

from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from integrations.conf import SlackSettings
from integrations.errors import PartnerError, PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.sandbox.process import RunningSandbox
from integrations.slack.client import SlackWebhook
from tests.integrations.http.raw import answering, response

SECRET = "/services/T1/B1/hush-hush-secret"


def against(address: str) -> SlackWebhook:
    return SlackWebhook(SlackSettings(slack_webhook_url=SecretStr(f"{address}{SECRET}")))


@pytest.mark.parametrize(
    ("status", "body", "meaning", "detail"),
    [
        ("400 Bad Request", b"invalid_payload", PartnerRefused, "answered 400 invalid_payload"),
        ("403 Forbidden", b"action_prohibited", PartnerRefused, "answered 403 action_prohibited"),
        ("404 Not Found", b"no_service", PartnerRefused, "answered 404 no_service"),
        ("410 Gone", b"channel_is_archived", PartnerRefused, "answered 410 channel_is_archived"),
        ("429 Too Many Requests", b"rate_limited", PartnerUnavailable, "answered 429 rate_limited"),
        ("500 Internal Server Error", b"rollup_error", PartnerUnknown, "answered 500 rollup_error"),
        ("503 Service Unavailable", b"upstream connect error", PartnerUnknown, "answered 503"),
        ("502 Bad Gateway", b"<html>jane</html>", PartnerUnknown, "answered 502"),
        ("200 OK", b"<html>jane</html>", PartnerUnknown, "answered 200 and not ok"),
        ("200 OK", b'{"ok": true}', PartnerUnknown, "answered 200 and not ok"),
        ("302 Found", b"ok", PartnerUnknown, "answered 302 ok"),
    ],
)
def test_an_answer_means_what_slack_says_of_it(
    status: str, body: bytes, meaning: type[PartnerError], detail: str
) -> None:
    with answering(response(body, status)) as address, pytest.raises(meaning) as caught:
        against(address).post("hello", "r", timeout=5.0)
    assert caught.value.detail == detail


@pytest.mark.parametrize("status", ["403 Forbidden", "503 Service Unavailable"])
def test_the_address_is_in_no_error_and_no_log(
    status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with answering(response(b"no", status)) as address, pytest.raises(PartnerError) as caught:
        against(address).post("hello", "r", timeout=5.0)
    assert "hush" not in f"{caught.value!r} {caught.value} {caplog.text} {against(address)!r}"


def test_the_address_is_in_no_error_of_a_slack_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PartnerUnavailable) as caught:
        against("http://127.0.0.1:1").post("hello", "r", timeout=5.0)
    assert "hush" not in f"{caught.value} {caught.value.__cause__!r} {caplog.text}"


def test_an_unknown_address_is_refused(sandbox: RunningSandbox) -> None:
    with pytest.raises(PartnerRefused):
        against(sandbox.address).post("hello", "r", timeout=5.0)

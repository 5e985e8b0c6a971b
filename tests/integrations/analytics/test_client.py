"""What only the real client does. The rest is in the conformance suite."""

from __future__ import annotations

import logging

import pytest

from integrations.analytics.client import GoogleAnalytics, connect
from integrations.conf import AnalyticsSettings
from integrations.errors import PartnerError, PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response

SECRET = "hush-hush-secret"


def against(address: str) -> GoogleAnalytics:
    return GoogleAnalytics(
        AnalyticsSettings(
            analytics_url=address,
            analytics_measurement_id="G-TEST1",
            analytics_api_secret=SECRET,
        )
    )


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "503 Service Unavailable", "502 Bad Gateway"]
)
def test_the_secret_is_in_no_error_and_no_log(
    status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with answering(response(b"", status)) as address, pytest.raises(PartnerError) as caught:
        against(address).record("sign_up", {}, "r", timeout=5.0)
    shown = f"{caught.value!r} {caught.value} {caught.value.__context__!r} {caplog.text}"
    assert SECRET not in shown
    assert "api_secret" not in shown


def test_the_secret_is_in_no_error_of_a_partner_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(PartnerUnavailable) as caught:
        against("http://127.0.0.1:1").record("sign_up", {}, "r", timeout=5.0)
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r} {caplog.text}"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        ("413 Content Too Large", PartnerRefused),
        ("429 Too Many Requests", PartnerUnavailable),
        ("500 Internal Server Error", PartnerUnknown),
        ("503 Service Unavailable", PartnerUnknown),
    ],
)
def test_a_failure_means_what_its_status_says(status: str, meaning: type[PartnerError]) -> None:
    with answering(response(b"", status)) as address, pytest.raises(meaning):
        against(address).record("sign_up", {}, "r", timeout=5.0)


def test_an_event_with_a_wrong_secret_is_taken_and_counted_nowhere(
    sandbox: RunningSandbox, reference: str
) -> None:
    against(sandbox.address).record("sign_up", {}, reference, timeout=5.0)
    assert sandbox.ledger.effects(reference) == []
    connect().record("sign_up", {}, reference, timeout=5.0)
    assert [effect.kind for effect in sandbox.ledger.effects(reference)] == ["event_recorded"]


def test_validation_passes_on_what_the_partner_says(sandbox: RunningSandbox) -> None:
    found = connect().validate("_hidden", {}, "r", timeout=5.0)
    assert found[0] == "the event '_hidden' has a reserved name"
    assert found[1].startswith("NAME_RESERVED events Event at index: [0]")


def test_a_verdict_that_is_none_is_unavailable() -> None:
    with answering(response(b"<html>")) as address, pytest.raises(PartnerUnavailable):
        against(address).validate("sign_up", {}, "r", timeout=5.0)

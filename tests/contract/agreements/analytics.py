"""What we rely on of Google Analytics' Measurement Protocol."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from integrations.analytics.client import GoogleAnalytics
from integrations.conf import AnalyticsSettings, load
from tests.contract.terms import (
    REFERENCE,
    TIMEOUT,
    Agreement,
    Partner,
    from_state,
    list_of,
    reference,
    text,
)

_PROOF = {
    "measurement_id": from_state("G-CONTRACT1", "measurement_id"),
    "api_secret": from_state("secret-1", "api_secret"),
}
_SIGN_UP: Mapping[str, object] = {
    "client_id": reference(),
    "user_id": reference(),
    "events": [{"name": "sign_up", "params": {"method": "form"}}],
}
_STRICT = {"validation_behavior": "ENFORCE_RECOMMENDATIONS"}


def _client(address: str) -> GoogleAnalytics:
    settings = AnalyticsSettings(
        analytics_url=address,
        analytics_measurement_id="G-CONTRACT1",
        analytics_api_secret=SecretStr("secret-1"),
    )
    return GoogleAnalytics(settings)


def _records(address: str) -> None:
    _client(address).record("sign_up", {"method": "form"}, REFERENCE, timeout=TIMEOUT)


def _is_valid(address: str) -> None:
    found = _client(address).validate("sign_up", {"method": "form"}, REFERENCE, timeout=TIMEOUT)
    assert found == []


def _is_not_valid(address: str) -> None:
    found = _client(address).validate("ad_click", {"method": "form"}, REFERENCE, timeout=TIMEOUT)
    assert "NAME_RESERVED events ad_click is reserved" in found


def _credentials() -> Mapping[str, str]:
    settings = load(AnalyticsSettings)
    secret = settings.analytics_api_secret.get_secret_value()
    return {"measurement_id": settings.analytics_measurement_id, "api_secret": secret}


PARTNER = Partner(
    name="analytics",
    address_variable="INTEGRATIONS_ANALYTICS_URL",
    credentials=_credentials,
    states={"a stream is open": dict},
    agreements=[
        Agreement(
            "an event",
            "a stream is open",
            "POST",
            "/mp/collect",
            _records,
            status=204,
            query=_PROOF,
            body=_SIGN_UP,
        ),
        Agreement(
            "an event to look at",
            "a stream is open",
            "POST",
            "/debug/mp/collect",
            _is_valid,
            query=_PROOF,
            body={**_SIGN_UP, **_STRICT},
            answer={"validationMessages": []},
        ),
        Agreement(
            "a wrong event to look at",
            "a stream is open",
            "POST",
            "/debug/mp/collect",
            _is_not_valid,
            query=_PROOF,
            body={
                **_SIGN_UP,
                **_STRICT,
                "events": [{"name": "ad_click", "params": {"method": "form"}}],
            },
            answer={
                "validationMessages": list_of(
                    {
                        "fieldPath": "events",
                        "description": text("ad_click is reserved"),
                        "validationCode": "NAME_RESERVED",
                    }
                )
            },
        ),
    ],
)

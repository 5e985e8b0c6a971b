"""The analytics partner's client: Google Analytics 4 by its Measurement Protocol."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from integrations import http
from integrations.analytics.events import problems
from integrations.analytics.schemas import Params
from integrations.call import Call
from integrations.conf import AnalyticsSettings, load
from integrations.http import google
from integrations.schemas import Answer


def connect() -> GoogleAnalytics:
    """A client for the partner that the environment names."""
    return GoogleAnalytics(load(AnalyticsSettings))


class GoogleAnalytics:
    """Analytics through Google's collection endpoint."""

    def __init__(self, settings: AnalyticsSettings) -> None:
        self._settings = settings

    def record(self, event: str, params: Params, reference: str, *, timeout: float) -> None:
        call = Call.within(timeout, "analytics", "record", critical=False, once=True)
        if wrong := problems(event, params, reference):
            raise call.refused("would be dropped without a word: " + "; ".join(wrong))
        # Whatever it thinks of the event, it answers 204 and no body.
        self._ask(call, "/mp/collect", _body(event, params, reference))

    def validate(self, event: str, params: Params, reference: str, *, timeout: float) -> list[str]:
        call = Call.within(timeout, "analytics", "validate", writes=False, critical=False)
        strict = {"validation_behavior": "ENFORCE_RECOMMENDATIONS"}
        body = {**_body(event, params, reference), **strict}
        reply = self._ask(call, "/debug/mp/collect", body)
        verdict = call.shape(_Verdict, http.parse(call, reply))
        ours = problems(event, params, reference)
        return ours + [str(message) for message in verdict.validationMessages]

    def _ask(self, call: Call, path: str, body: dict[str, object]) -> http.Reply:
        settings = self._settings
        proof = {
            "measurement_id": settings.analytics_measurement_id,
            "api_secret": settings.analytics_api_secret.get_secret_value(),
        }
        reply = http.send(
            call,
            "POST",
            f"{settings.analytics_url}{path}?{urlencode(proof)}",
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            failure=google.failure,
        )
        if not 200 <= reply.status < 300:
            raise google.failure(call, reply)
        return reply


class _Message(Answer):
    fieldPath: str = ""  # noqa: N815  # Google's spelling
    description: str = ""
    validationCode: str = ""  # noqa: N815

    def __str__(self) -> str:
        return " ".join(part for part in (self.validationCode, self.fieldPath, self.description))


class _Verdict(Answer):
    validationMessages: tuple[_Message, ...] = ()  # noqa: N815


def _body(event: str, params: Params, reference: str) -> dict[str, object]:
    # The event is ours, not a browser's: the customer is the client, too.
    return {
        "client_id": reference,
        "user_id": reference,
        "events": [{"name": event, "params": dict(params)}],
    }

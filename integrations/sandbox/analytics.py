"""A stand-in for Google Analytics 4: its Measurement Protocol, and the server that validates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from integrations.sandbox.describe import TEXT, About, Schema, items, record
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

MEASUREMENT_ID = "G-SANDBOX1"
API_SECRET = "sandbox-secret"  # noqa: S105  # of this stand-in, which keeps none

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_RESERVED = re.compile(
    r"(_|firebase_|ga_|google_|gtag\.).*"
    r"|(ad_(activeview|click|exposure|impression|query|reward)|adunit_exposure|error)"
    r"|app_(background|clear_data|exception|remove|store_\w+|update|upgrade)"
    r"|(first_(open|visit)|in_app_purchase|notification_\w+|os_update)"
    r"|(dynamic_link_\w+|session_start|user_engagement)"
)


_KEYS = {"measurement_id": TEXT, "api_secret": TEXT}
_MESSAGE = record({"fieldPath": TEXT, "description": TEXT, "validationCode": TEXT})
# What is wrong with a value it does not say, except to who asks for a validation.
_EVENT: Schema = {"properties": {"name": {}, "params": {}}}
_BATCH = {"client_id": {}, "user_id": {}, "events": {"items": _EVENT}}
_COLLECT = About(
    "Count events, or drop them without a word.", {204: None}, record({}, _BATCH), query=_KEYS
)
_VALIDATE = About(
    "Say what is wrong with events.",
    {200: record({"validationMessages": items(_MESSAGE)})},
    record({}, {**_BATCH, "validation_behavior": {"const": "ENFORCE_RECOMMENDATIONS"}}),
    query=_KEYS,
)


class Analytics(Service):
    """Answers 204 to whatever it is sent, and counts what is valid and comes with our secret."""

    name = "analytics"
    idempotent = False
    errors = TEXT
    routes = (
        Route.make("record", "POST", "/mp/collect", _COLLECT),
        Route.make("validate", "POST", "/debug/mp/collect", _VALIDATE),
    )

    def turned_away(self, request: Request) -> Answer | None:
        return None

    def perform(self, request: Request) -> Answer:
        messages = list(_messages(request.params))
        if request.operation == "validate":
            # It looks at neither the secret nor the measurement id.
            return Answer(200, {"validationMessages": messages})
        ours = request.query == {"measurement_id": MEASUREMENT_ID, "api_secret": API_SECRET}
        if messages or not ours:
            return Answer(204, "")
        count = len(request.params["events"])
        effects = [self.effect(request, "event_recorded", new_id("evt")) for _ in range(count)]
        return Answer(204, "", effects)

    def refuse(self, request: Request) -> Answer:
        """It never says no: what it does not want vanishes."""
        return Answer(204, "")

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, message, saved=False)

    def reference(self, request: Request) -> str:
        return str(request.params.get("user_id", ""))

    def clear(self) -> None:
        """It shows nobody what it has."""


def _messages(body: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if not body.get("client_id"):
        yield _message("VALUE_REQUIRED", "client_id", "Measurement requires a client_id.")
    events = body.get("events")
    if not isinstance(events, list) or not events:
        yield _message("VALUE_REQUIRED", "events", "At least one event is required.")
        return
    if len(events) > 25:
        yield _message("EXCEEDED_MAX_ENTITIES", "events", "More than 25 events.")
    for index, event in enumerate(events):
        yield from _of_event(index, event)


def _of_event(index: int, event: object) -> Iterator[dict[str, str]]:
    where = f"Event at index: [{index}] has"
    if not isinstance(event, Mapping) or not isinstance(event.get("params", {}), Mapping):
        yield _message("VALUE_INVALID", "events", f"{where} a value of a wrong type.")
        return
    name, params = str(event.get("name", "")), event.get("params", {})
    if _RESERVED.fullmatch(name):
        yield _message("NAME_RESERVED", "events", f"{where} name [{name}] which is reserved.")
    elif not _NAME.fullmatch(name) or len(name) > 40:
        why = "Names must start with an alphabetic character."
        yield _message("NAME_INVALID", "events", f"{where} invalid name [{name}]. {why}")
    if len(params) > 25:
        yield _message("EXCEEDED_MAX_ENTITIES", "events.params", f"{where} too many params.")
    for param, value in params.items():
        if _RESERVED.fullmatch(param) or not _NAME.fullmatch(param) or len(param) > 40:
            yield _message("NAME_INVALID", "events.params", f"{where} invalid param [{param}].")
        if isinstance(value, str) and len(value) > 100:
            yield _message("VALUE_OUT_OF_BOUNDS", "events.params", f"{where} a long [{param}].")


def _message(code: str, path: str, description: str) -> dict[str, str]:
    return {"fieldPath": path, "description": description, "validationCode": code}

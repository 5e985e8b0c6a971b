"""A stand-in for HubSpot: contacts and notes of its CRM API, version 3, and its token endpoint."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from integrations.sandbox.describe import (
    EMAIL,
    FLAG,
    TEXT,
    WHOLE,
    About,
    Schema,
    items,
    record,
)
from integrations.sandbox.grants import Denied, Grants, token_about
from integrations.sandbox.service import Answer, Request, Route, Service

ACCESS_TOKEN = "pat-sandbox-private-app"  # noqa: S105 - opens nothing but a stand-in
REFERENCE = "saga_reference"
"""The custom property with unique values that an account needs for us."""

_TEXT: Schema = {"type": "string", "maxLength": 65_536}
_ISO_OR_MILLISECONDS = (
    r"^([0-9]{1,14}|[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{3})?Z)$"
)
_MOMENT: Schema = {"type": "string", "minLength": 1, "pattern": _ISO_OR_MILLISECONDS}
_STATUSES = ("NEW", "OPEN", "IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED")
_MORE_STATUSES = ("ATTEMPTED_TO_CONTACT", "CONNECTED", "BAD_TIMING")
_STAGES = (
    *("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead"),
    *("opportunity", "customer", "evangelist", "other"),
)
_PROPERTIES: Mapping[str, Mapping[str, Schema]] = {
    "contacts": {
        "company": _TEXT,
        "email": {"type": "string", "pattern": f"{EMAIL}|^$"},
        "firstname": _TEXT,
        "hs_lead_status": {"enum": [*_STATUSES, *_MORE_STATUSES, ""]},
        "lastname": _TEXT,
        "lifecyclestage": {"enum": [*_STAGES, ""]},
        REFERENCE: _TEXT,
    },
    "notes": {"hs_note_body": _TEXT, "hs_timestamp": _MOMENT, REFERENCE: _TEXT},
}
_UNIQUE = {"contacts": ("email", REFERENCE), "notes": (REFERENCE,)}
_NOUNS = {"contacts": "contact", "notes": "note"}
_NOTE_TO_CONTACT = 202

_GIVEN = record({"id": TEXT, "properties": {"type": "object"}, "archived": FLAG})
_TYPE = record({"associationCategory": TEXT, "associationTypeId": WHOLE})
_ASSOCIATION = record({"to": record({"id": TEXT}), "types": items(_TYPE)})


_FALSE: Schema = {"enum": ["false", "False"]}
_TEXTS: Schema = {"type": ["string", "array"], "items": TEXT}


def _about(kind: str) -> dict[str, About]:
    """What the operations on objects of a kind take and answer."""
    values: dict[str, Any] = {
        "type": "object",
        "properties": _PROPERTIES[kind],
        "minProperties": 1,
    }
    id_property = {"idProperty": {"enum": [*_UNIQUE[kind]]}}
    new = {**values, "required": ["hs_timestamp"]} if kind == "notes" else values
    return {
        "create": About(
            "Make an object.",
            {201: _GIVEN},
            record({"properties": new}, {"associations": items(_ASSOCIATION)}),
            refuses=(409,),
        ),
        "find": About(
            "Read an object by its id or a unique property.",
            {200: _GIVEN},
            record({}, {**id_property, "properties": _TEXTS, "archived": _FALSE}),
        ),
        "update": About(
            "Set properties.",
            {200: _GIVEN},
            record({"properties": values}),
            id_property,
            refuses=(409,),
        ),
        "archive": About("Archive an object.", {204: None}),
    }


_NO_TOKEN = record({"status": TEXT, "message": TEXT, "correlationId": TEXT})


class HubSpot(Service):
    """Objects of the CRM. It knows no idempotency keys: unique properties tell repeats."""

    name = "hubspot"
    idempotent = False
    bearer = True
    own_words = True
    invalid = "VALIDATION_ERROR"
    errors = record({"status": TEXT, "message": TEXT, "correlationId": TEXT, "category": TEXT})
    routes = (
        Route.make("token", "POST", "/oauth/v1/token", token_about(_NO_TOKEN)),
        *(
            Route(
                f"{verb}_{noun}",
                method,
                re.compile(f"/crm/v3/objects/{kind}{tail}"),
                _about(kind)[verb],
            )
            for kind, noun in _NOUNS.items()
            for verb, method, tail in (
                ("create", "POST", ""),
                ("find", "GET", "/(?P<id>[^/]+)"),
                ("update", "PATCH", "/(?P<id>[^/]+)"),
                ("archive", "DELETE", "/(?P<id>[^/]+)"),
            )
        ),
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.grants = Grants()
        self._objects: dict[str, _Object] = {}
        self._ids = itertools.count(101)
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "create": self._create,
            "find": self._find,
            "update": self._update,
            "archive": self._archive,
        }

    def unknown(self, path: Sequence[str]) -> Answer:
        own = path[0] == "properties"
        refusal = _invalid("PROPERTY_DOESNT_EXIST" if own else "UNKNOWN_FIELD", path[-1])
        return self.error(refusal.status, refusal.category, str(refusal))

    def turned_away(self, request: Request) -> Answer | None:
        """Everything but the token endpoint wants an access token, and nothing wants a key."""
        by_private_app = request.headers.get("authorization") == f"Bearer {ACCESS_TOKEN}"
        if request.operation == "token" or by_private_app or self.grants.takes(request.headers):
            return None
        return self.error(401, "EXPIRED_AUTHENTICATION", "The OAuth token expired.")

    def perform(self, request: Request) -> Answer:
        if request.operation == "token":
            return self._token(request)
        try:
            return self._operations[request.operation.partition("_")[0]](request)
        except _Refusal as refusal:
            return self.error(refusal.status, refusal.category, str(refusal))

    def refuse(self, request: Request) -> Answer:
        if request.operation == "token":
            return self._no_token("invalid_grant")
        return self.error(400, "VALIDATION_ERROR", "The sandbox was told to refuse this request.")

    def error(self, status: int, code: str, message: str) -> Answer:
        body = {"status": "error", "message": message, "correlationId": str(uuid4())}
        return Answer(status, {**body, "category": code.upper()}, saved=False)

    def quota_spent(self) -> Answer:
        message = "You have reached your daily limit."
        body = {"status": "error", "message": message, "correlationId": str(uuid4())}
        more = {"errorType": "RATE_LIMIT", "category": "RATE_LIMITS", "policyName": "DAILY"}
        return Answer(429, {**body, **more}, saved=False)

    def reference(self, request: Request) -> str:
        found = self._objects.get(unquote(request.object_id))
        if found is not None:
            return str(found.properties.get(REFERENCE, ""))
        if _id_property(request) == REFERENCE:
            return unquote(request.object_id)
        properties = request.params.get("properties")
        return str(properties.get(REFERENCE, "")) if isinstance(properties, Mapping) else ""

    def clear_faults(self) -> None:
        self.grants.behave_as_usual()

    def clear(self) -> None:
        self._objects.clear()

    # Tokens

    def _token(self, request: Request) -> Answer:
        try:
            granted = self.grants.grant(request.params, ("refresh_token",))
        except Denied as denied:
            return self._no_token(denied.code)
        return Answer(
            200,
            {
                "token_type": "bearer",
                "access_token": granted.access,
                "refresh_token": granted.refresh,
                "expires_in": int(granted.lifetime),
            },
        )

    def _no_token(self, code: str) -> Answer:
        status = {"invalid_grant": "BAD_REFRESH_TOKEN", "invalid_client": "BAD_CLIENT_ID"}
        message = "missing or invalid refresh token" if code == "invalid_grant" else code
        body = {"status": status.get(code, "BAD_GRANT_TYPE"), "message": message}
        return Answer(400, {**body, "correlationId": str(uuid4())})

    # Objects

    def _create(self, request: Request) -> Answer:
        kind = _kind(request)
        properties = self._checked(kind, request.params.get("properties"))
        associations = self._associated(request.params.get("associations", []))
        made = _Object(str(next(self._ids)), kind, properties, associations)
        effect = self.effect(request, f"{_NOUNS[kind]}_created", made.id)
        made.effect = effect.seq
        self._objects[made.id] = made
        return Answer(201, made.body(properties), [effect])

    def _find(self, request: Request) -> Answer:
        found = self._one(request)
        wanted = request.params.get("properties", "")
        names = wanted if isinstance(wanted, list) else [wanted]
        return Answer(200, found.body(",".join(names).split(",")))

    def _update(self, request: Request) -> Answer:
        found = self._one(request)
        changes = self._checked(found.kind, request.params.get("properties"), found)
        if all(found.properties.get(name) == value for name, value in changes.items()):
            return Answer(200, found.body(changes))
        found.properties |= changes
        effect = self.effect(request, f"{_NOUNS[found.kind]}_updated", found.id)
        return Answer(200, found.body(changes), [effect])

    def _archive(self, request: Request) -> Answer:
        found = self._objects.get(unquote(request.object_id))
        if found is None or found.kind != _kind(request):
            raise _Refusal(404, "OBJECT_NOT_FOUND", "resource not found")
        if found.archived:
            return Answer(204, {})
        found.archived = True
        kind = f"{_NOUNS[found.kind]}_archived"
        return Answer(204, {}, [self.effect(request, kind, found.id, undoes=found.effect)])

    def _one(self, request: Request) -> _Object:
        value, name = unquote(request.object_id), _id_property(request)
        if name == "email":
            value = value.lower()
        for found in self._living(_kind(request)):
            if (found.properties.get(name) if name else found.id) == value:
                return found
        raise _Refusal(404, "OBJECT_NOT_FOUND", "resource not found")

    def _living(self, kind: str) -> list[_Object]:
        return [o for o in self._objects.values() if o.kind == kind and not o.archived]

    def _checked(
        self, kind: str, properties: Any, changed: _Object | None = None
    ) -> dict[str, str]:
        """The properties, if they exist and unique ones are free."""
        if not isinstance(properties, dict) or not properties:
            raise _Refusal(400, "VALIDATION_ERROR", "No properties found to update")
        if kind == "notes" and changed is None and not properties.get("hs_timestamp"):
            raise _invalid("REQUIRED_FIELD", "hs_timestamp")
        kept = _normalised(properties)
        for name in _UNIQUE[kind]:
            if other := self._holder(kind, name, kept.get(name), changed):
                raise _taken(name, other)
        return kept

    def _holder(
        self, kind: str, name: str, value: str | None, changed: _Object | None
    ) -> _Object | None:
        others = [o for o in self._living(kind) if value and o.properties.get(name) == value]
        return next((other for other in others if other is not changed), None)

    def _associated(self, associations: Sequence[Mapping[str, Any]]) -> list[str]:
        """The contacts that a new object belongs to."""
        contacts = []
        for association in associations:
            contact = self._objects.get(association.get("to", {}).get("id", ""))
            types = [kind.get("associationTypeId") for kind in association.get("types", [])]
            if contact is None or contact.archived or types != [_NOTE_TO_CONTACT]:
                raise _Refusal(400, "VALIDATION_ERROR", "The association is not valid")
            contacts.append(contact.id)
        return contacts


class _Refusal(Exception):
    def __init__(self, status: int, category: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.category = category


@dataclass(slots=True)
class _Object:
    id: str
    kind: str
    properties: dict[str, str]
    associations: list[str]
    effect: int = 0
    archived: bool = False
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def body(self, wanted: Any) -> dict[str, Any]:
        shown = {name: self.properties.get(name) for name in wanted if name}
        return {
            "id": self.id,
            "properties": {**shown, "hs_object_id": self.id, "createdate": self.created},
            "createdAt": self.created,
            "updatedAt": self.created,
            "archived": self.archived,
        }


def _id_property(request: Request) -> str | None:
    """Which property names the object, None: its id. It stands in the address."""
    address = request.query if request.writes else request.params
    return address.get("idProperty")


def _kind(request: Request) -> str:
    return f"{request.operation.partition('_')[2]}s"


def _normalised(properties: Mapping[str, str]) -> dict[str, str]:
    """The values as HubSpot keeps them: addresses in lower case, times in one form."""
    kept = dict(properties)
    if email := kept.get("email", "").strip().lower():
        kept["email"] = email
        if not re.fullmatch(EMAIL, email):
            raise _invalid("INVALID_EMAIL", "email")
    if "hs_timestamp" in kept:
        kept["hs_timestamp"] = _moment(kept["hs_timestamp"])
    return kept


def _moment(text: str) -> str:
    """A time given in milliseconds or by ISO 8601."""
    try:
        if text.isascii() and text.isdigit():
            moment = datetime.fromtimestamp(int(text) / 1000, UTC)
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise _invalid("INVALID_DATE", "hs_timestamp") from None
    shown = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    return shown.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _taken(name: str, other: _Object) -> _Refusal:
    if name == "email":
        return _Refusal(409, "CONFLICT", f"Contact already exists. Existing ID: {other.id}")
    return _invalid("CONFLICTING_UNIQUE_VALUE", name)


def _invalid(error: str, name: str) -> _Refusal:
    problem = [{"isValid": False, "message": f"{name}: {error}", "error": error, "name": name}]
    message = f"Property values were not valid: {json.dumps(problem)}"
    return _Refusal(400, "VALIDATION_ERROR", message)

"""A stand-in for Salesforce: opportunities of its REST API, and its token endpoint."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import unquote

from integrations.sandbox.describe import FLAG, TEXT, About, items, record
from integrations.sandbox.grants import DENIAL, Denied, Grants, basic, token_about
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

EXTERNAL_ID = "Saga_Key__c"
"""The custom field of opportunities, unique and an external id, that we need there."""

_REQUIRED = ("Name", "StageName", "CloseDate")
_OPPORTUNITY = r"/services/data/(?P<version>v[0-9]+\.0)/sobjects/Opportunity"
_BY_ID = f"{_OPPORTUNITY}/(?P<id>[0-9A-Za-z]+)"
_BY_EXTERNAL_ID = f"{_OPPORTUNITY}/{EXTERNAL_ID}/(?P<id>[^/]+)"

_DATE = r"^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$"
"""Dates that every month has; the others of a calendar are taken, too."""
_AMOUNT_END = 10**16
_FILLED = {"type": "string", "minLength": 1}
_UPSERTED = record({"id": TEXT, "success": FLAG, "created": FLAG, "errors": items(TEXT)})
_UPSERT = About(
    "Make an opportunity, or change the one with this external id.",
    {200: _UPSERTED, 201: _UPSERTED},
    # A new one needs three of them, which one request alone cannot tell.
    record(
        {},
        {
            "Name": {**_FILLED, "maxLength": 120},
            "StageName": {**_FILLED, "maxLength": 255},
            "CloseDate": {**_FILLED, "pattern": _DATE},
            "Amount": {"type": ["number", "null"], "exclusiveMaximum": _AMOUNT_END}
            | {"exclusiveMinimum": -_AMOUNT_END},
        },
    ),
)
_FIND = About("Read an opportunity.", {200: record({"Id": TEXT, EXTERNAL_ID: TEXT})})
_DELETE = About("Delete an opportunity.", {204: None})


class Salesforce(Service):
    """Opportunities, found and made by their external id."""

    name = "salesforce"
    idempotent = False
    bearer = True
    own_words = True
    invalid = "JSON_PARSER_ERROR"
    errors = items(record({"message": TEXT, "errorCode": TEXT}))
    routes = (
        Route.make("token", "POST", "/services/oauth2/token", token_about(DENIAL)),
        Route("create_opportunity", "PATCH", re.compile(_BY_EXTERNAL_ID), _UPSERT),
        Route("find_opportunity", "GET", re.compile(_BY_EXTERNAL_ID), _FIND),
        Route("delete_opportunity", "DELETE", re.compile(_BY_ID), _DELETE),
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.grants = Grants()
        self._records: dict[str, _Record] = {}
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "token": self._token,
            "create_opportunity": self._upsert,
            "find_opportunity": self._find,
            "delete_opportunity": self._delete,
        }

    def unknown(self, path: Sequence[str]) -> Answer:
        message = f"No such column '{path[-1]}' on sobject of type Opportunity"
        return self.error(400, "INVALID_FIELD", message)

    def turned_away(self, request: Request) -> Answer | None:
        """Everything but the token endpoint wants an access token, and nothing wants a key."""
        if request.operation == "token" or self.grants.takes(request.headers):
            return None
        return self.error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def perform(self, request: Request) -> Answer:
        return self._operations[request.operation](request)

    def refuse(self, request: Request) -> Answer:
        if request.operation == "token":
            return self._no_token("invalid_grant")
        message = "The sandbox was told to refuse this request."
        return self.error(400, "FIELD_CUSTOM_VALIDATION_EXCEPTION", message)

    def error(self, status: int, code: str, message: str) -> Answer:
        return Answer(status, [{"message": message, "errorCode": code.upper()}], saved=False)

    def quota_spent(self) -> Answer:
        return self.error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def reference(self, request: Request) -> str:
        found = self._records.get(request.object_id)
        if found is not None:
            return found.external_id
        by_external_id = request.operation in ("create_opportunity", "find_opportunity")
        return unquote(request.object_id) if by_external_id else ""

    def clear_faults(self) -> None:
        self.grants.behave_as_usual()

    def clear(self) -> None:
        self._records.clear()

    # Tokens

    def _token(self, request: Request) -> Answer:
        kinds = ("client_credentials", "refresh_token")
        try:
            granted = self.grants.grant({**request.params, **basic(request.headers)}, kinds)
        except Denied as denied:
            return self._no_token(denied.code)
        body = {
            "access_token": granted.access,
            "token_type": "Bearer",
            "instance_url": request.address,
            "id": f"{request.address}/id/00D000000000000EAA/005000000000000AAA",
            "issued_at": str(int(time.time() * 1000)),
            "signature": new_id("sig"),
        }
        # As documented: no lifetime, and a refresh token only if it is another one.
        rotated = {"refresh_token": granted.refresh} if self.grants.rotates else {}
        return Answer(200, body | (rotated if granted.refresh else {}))

    def _no_token(self, code: str) -> Answer:
        why = {
            "invalid_grant": "expired access/refresh token",
            "invalid_client": "invalid client credentials",
        }
        description = why.get(code, "grant type not supported")
        return Answer(400, {"error": code, "error_description": description})

    # Opportunities

    def _upsert(self, request: Request) -> Answer:
        fields, external_id = request.params, unquote(request.object_id)
        found = self._living(external_id)
        needed = _REQUIRED if found is None else [n for n in _REQUIRED if n in fields]
        if missing := [name for name in needed if not fields.get(name)]:
            message = f"Required fields are missing: [{', '.join(missing)}]"
            return self.error(400, "REQUIRED_FIELD_MISSING", message)
        if problem := _problem(fields):
            return self.error(400, *problem)
        fields = {**fields, **_rounded(fields)}
        if found is not None:
            found.fields = {**found.fields, **fields}
            return Answer(200, _upserted(found, created=False))
        effect = self.effect(request, "opportunity_created", f"006{new_id('')[1:16]}")
        found = _Record(effect.object_id, external_id, dict(fields), effect.seq)
        self._records[found.id] = found
        return Answer(201, _upserted(found, created=True), [effect])

    def _find(self, request: Request) -> Answer:
        found = self._living(unquote(request.object_id))
        if found is None:
            return self.error(404, "NOT_FOUND", "The requested resource does not exist")
        return Answer(200, found.body(request.path))

    def _delete(self, request: Request) -> Answer:
        found = self._records.get(request.object_id)
        if found is None:
            return self.error(404, "NOT_FOUND", "The requested resource does not exist")
        if found.deleted:
            return self.error(404, "ENTITY_IS_DELETED", "entity is deleted")
        found.deleted = True
        effect = self.effect(request, "opportunity_deleted", found.id, undoes=found.effect)
        return Answer(204, {}, [effect])

    def _living(self, external_id: str) -> _Record | None:
        known = (r for r in self._records.values() if r.external_id == external_id)
        return next((found for found in known if not found.deleted), None)


@dataclass(slots=True)
class _Record:
    id: str
    external_id: str
    fields: Mapping[str, Any]
    effect: int
    deleted: bool = False

    def body(self, path: str) -> dict[str, Any]:
        version = path.partition("/sobjects")[0]
        url = f"{version}/sobjects/Opportunity/{self.id}"
        attributes = {"type": "Opportunity", "url": url}
        return {"attributes": attributes, "Id": self.id, EXTERNAL_ID: self.external_id} | dict(
            self.fields
        )


def _problem(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """The code and message for a value that its field does not take."""
    closes = fields.get("CloseDate")
    if closes is None:
        return None
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", closes, re.ASCII):
            date.fromisoformat(closes)
            return None
    except ValueError:
        pass
    message = f"Cannot deserialize instance of date from VALUE_STRING value {closes}"
    return "JSON_PARSER_ERROR", message


def _rounded(fields: Mapping[str, Any]) -> dict[str, float]:
    """Currency fields keep two decimals."""
    amount = fields.get("Amount")
    return {} if amount is None else {"Amount": round(amount, 2)}


def _upserted(found: _Record, *, created: bool) -> dict[str, Any]:
    return {"id": found.id, "success": True, "errors": [], "created": created}

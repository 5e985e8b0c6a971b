"""A stand-in for Firebase Authentication, as its administrator sees it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.describe import FLAG, TEXT, About, items, record
from integrations.sandbox.google import PROJECT, TOKEN_PATH, TokenDesk
from integrations.sandbox.service import Answer, Request, Route, Service

_ACCOUNTS = "/v1/projects/{id}/accounts"
_ERROR = record({"error": record({"code": {"type": "integer"}, "message": TEXT})})
_NAMED = {"localId": TEXT, "email": TEXT}
_CREATE = About(
    "Make an account.",
    {200: record({"kind": TEXT, **_NAMED})},
    record(_NAMED, {"displayName": TEXT, "disabled": FLAG}),
    refuses=(403,),
)
_UPDATE = About(
    "Change an account.",
    {200: record({"kind": TEXT, **_NAMED})},
    record({"localId": TEXT}, {"disableUser": FLAG}),
    refuses=(403,),
)
_DELETE = About(
    "Delete an account.",
    {200: record({"kind": TEXT})},
    record({"localId": TEXT}),
    refuses=(403,),
)
_LOOK_UP = About(
    "Look accounts up.",
    {200: record({"kind": TEXT}, {"users": items(record(_NAMED))})},
    record({}, {"localId": items(TEXT), "email": items(TEXT)}),
    refuses=(403,),
)


@dataclass(slots=True)
class _Account:
    id: str
    email: str
    name: str
    disabled: bool
    created_at: str
    created: int
    enabled: int | None = None

    def body(self) -> dict[str, Any]:
        shown = {
            "localId": self.id,
            "email": self.email,
            "displayName": self.name,
            "emailVerified": False,
            "disabled": self.disabled,
            "createdAt": self.created_at,
        }
        # Google leaves out what is false or empty.
        return {name: value for name, value in shown.items() if value}


class Accounts(Service):
    """The accounts of one project, for whoever brings a token of its service account."""

    name = "accounts"
    idempotent = False
    bearer = True
    errors = _ERROR
    routes = (
        Route.make("ask_for_token", "POST", TOKEN_PATH),
        Route.make("create", "POST", _ACCOUNTS, _CREATE),
        Route.make("enable", "POST", f"{_ACCOUNTS}:update", _UPDATE),
        Route.make("delete", "POST", f"{_ACCOUNTS}:delete", _DELETE),
        Route.make("find", "POST", f"{_ACCOUNTS}:lookup", _LOOK_UP),
    )

    def __init__(self, numbers: Iterator[int], tokens: TokenDesk) -> None:
        super().__init__(numbers)
        self._tokens = tokens
        self._accounts: dict[str, _Account] = {}

    def turned_away(self, request: Request) -> Answer | None:
        if request.operation == "ask_for_token":
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self._tokens.knows(token):
            return self.error(
                401, "UNAUTHENTICATED", "Request had invalid authentication credentials."
            )
        if request.object_id != PROJECT:
            return self.error(403, "PERMISSION_DENIED", "The caller does not have permission")
        return None

    def perform(self, request: Request) -> Answer:
        if request.operation == "ask_for_token":
            return Answer(*self._tokens.answer(request.params))
        operation = {
            "create": self._create,
            "enable": self._update,
            "delete": self._delete,
            "find": self._look_up,
        }[request.operation]
        return operation(request)

    def refuse(self, request: Request) -> Answer:
        return _no("OPERATION_NOT_ALLOWED")

    def error(self, status: int, code: str, message: str) -> Answer:
        names = {"rate_limit": "RESOURCE_EXHAUSTED", "internal_error": "INTERNAL"}
        body = {"code": status, "message": message, "status": names.get(code, code.upper())}
        return Answer(status, {"error": body}, saved=False)

    def reference(self, request: Request) -> str:
        """The account's id, which its maker has chosen; of several the first."""
        wanted = request.params.get("localId", "")
        if isinstance(wanted, list):
            return str(wanted[0]) if wanted else ""
        return str(wanted)

    def clear(self) -> None:
        self._accounts.clear()
        self._tokens.clear()

    def _create(self, request: Request) -> Answer:
        asked = request.params
        wanted, email = str(asked.get("localId", "")), str(asked.get("email", "")).lower()
        if wanted in self._accounts:
            return _no("DUPLICATE_LOCAL_ID")
        if "@" not in email:
            return _no("INVALID_EMAIL")
        if any(email == account.email for account in self._accounts.values()):
            return _no("EMAIL_EXISTS")
        effect = self.effect(request, "account_created", wanted)
        self._accounts[wanted] = _Account(
            id=wanted,
            email=email,
            name=str(asked.get("displayName", "")),
            disabled=asked.get("disabled") is True,
            created_at=str(int(time.time() * 1000)),
            created=effect.seq,
        )
        body = {"kind": "identitytoolkit#SignupNewUserResponse", "localId": wanted, "email": email}
        return Answer(200, body, [effect])

    def _update(self, request: Request) -> Answer:
        account = self._accounts.get(self.reference(request))
        if account is None:
            return _no("USER_NOT_FOUND")
        disabled = request.params.get("disableUser", account.disabled) is True
        effects = []
        if account.disabled and not disabled:
            effects.append(self.effect(request, "account_enabled", account.id))
            account.enabled = effects[0].seq
        elif disabled and not account.disabled:
            effects.append(self.effect(request, "account_disabled", account.id, account.enabled))
        account.disabled = disabled
        body = {"kind": "identitytoolkit#SetAccountInfoResponse", "localId": account.id}
        return Answer(200, {**body, "email": account.email}, effects)

    def _delete(self, request: Request) -> Answer:
        account = self._accounts.pop(self.reference(request), None)
        if account is None:
            return _no("USER_NOT_FOUND")
        effect = self.effect(request, "account_deleted", account.id, undoes=account.created)
        return Answer(200, {"kind": "identitytoolkit#DeleteAccountResponse"}, [effect])

    def _look_up(self, request: Request) -> Answer:
        ids, emails = request.params.get("localId", []), request.params.get("email", [])
        there = self._accounts.values()
        users = [a.body() for a in there if a.id in ids or a.email in emails]
        body: dict[str, Any] = {"kind": "identitytoolkit#GetAccountInfoResponse"}
        return Answer(200, {**body, "users": users} if users else body)


def _no(code: str) -> Answer:
    """Identity Toolkit's refusals: 400 and a code for a message."""
    reason = {"message": code, "domain": "global", "reason": "invalid"}
    return Answer(400, {"error": {"code": 400, "message": code, "errors": [reason]}})

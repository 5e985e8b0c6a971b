"""A stand-in for Firebase Authentication, as its administrator sees it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.effects import Effect
from integrations.sandbox.describe import EMAIL, FLAG, FORM, TEXT, About, items, record
from integrations.sandbox.google import PROJECT, TOKEN_PATH, TokenDesk
from integrations.sandbox.grants import DENIAL
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

_ACCOUNTS = "/v1/projects/{id}/accounts"
_ERROR = record({"error": record({"code": {"type": "integer"}, "message": TEXT})})
_ASK_FOR_TOKEN = About(
    "Give a token for what the service account has signed.",
    {200: record({"access_token": TEXT, "token_type": TEXT})},
    record({"grant_type": TEXT, "assertion": TEXT}),
    errors=DENIAL,
    media=FORM,
    open=True,
)
_ID = {"type": "string", "minLength": 1, "maxLength": 128}
_OWN = {"email": {**TEXT, "minLength": 1}, "displayName": TEXT, "emailVerified": FLAG}
_CREATE = About(
    "Make an account.",
    {200: record({"kind": TEXT, "localId": TEXT}, {"email": TEXT})},
    record({}, {"localId": _ID, **_OWN, "disabled": FLAG}),
    refuses=(403,),
)
_UPDATE = About(
    "Change an account.",
    {200: record({"kind": TEXT, "localId": TEXT}, {"email": TEXT})},
    record(
        {"localId": _ID},
        {
            **_OWN,
            "disableUser": FLAG,
            "deleteAttribute": items({"enum": ["DISPLAY_NAME"]}),
        },
    ),
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
    {200: record({"kind": TEXT}, {"users": items(record({"localId": TEXT}, {"email": TEXT}))})},
    record({}, {"localId": items(TEXT), "email": items(TEXT)}),
    refuses=(403,),
)


@dataclass(slots=True)
class _Account:
    id: str
    created_at: str
    email: str = ""
    name: str = ""
    disabled: bool = False
    verified: bool = False
    created: int = 0
    enabled: int | None = None

    def body(self) -> dict[str, Any]:
        shown = {
            "localId": self.id,
            "email": self.email,
            "displayName": self.name,
            "emailVerified": self.verified,
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
        Route.make("ask_for_token", "POST", TOKEN_PATH, _ASK_FOR_TOKEN),
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
        wanted = str(asked.get("localId") or new_id("")[1:])
        if wanted in self._accounts:
            return _no("DUPLICATE_LOCAL_ID")
        account = _Account(wanted, created_at=str(int(time.time() * 1000)))
        if problem := self._store(account, asked):
            return _no(problem)
        effect = self.effect(request, "account_created", wanted)
        account.disabled, account.created = asked.get("disabled") is True, effect.seq
        self._accounts[wanted] = account
        return Answer(200, _changed(account, "SignupNewUserResponse"), [effect])

    def _update(self, request: Request) -> Answer:
        account = self._accounts.get(self.reference(request))
        if account is None:
            return _no("USER_NOT_FOUND")
        before = account.body()
        if problem := self._store(account, request.params):
            return _no(problem)
        effects = [*self._switched(request, account)]
        if account.body() != before:
            effects.append(self.effect(request, "account_updated", account.id))
        account.disabled = request.params.get("disableUser", account.disabled)
        return Answer(200, _changed(account, "SetAccountInfoResponse"), effects)

    def _store(self, account: _Account, asked: Mapping[str, Any]) -> str | None:
        """Give an account what is said of it, or the code of why not."""
        email = asked.get("email", account.email).lower()
        if email and not re.fullmatch(EMAIL, email):
            return "INVALID_EMAIL"
        others = (other for other in self._accounts.values() if other.id != account.id)
        if email and any(email == other.email for other in others):
            return "EMAIL_EXISTS"
        gone = "DISPLAY_NAME" in asked.get("deleteAttribute", [])
        account.email = email
        account.name = "" if gone else asked.get("displayName", account.name)
        account.verified = asked.get("emailVerified", account.verified)
        return None

    def _switched(self, request: Request, account: _Account) -> Iterator[Effect]:
        disabled = request.params.get("disableUser", account.disabled)
        if account.disabled and not disabled:
            effect = self.effect(request, "account_enabled", account.id)
            account.enabled = effect.seq
            yield effect
        elif disabled and not account.disabled:
            yield self.effect(request, "account_disabled", account.id, account.enabled)

    def _delete(self, request: Request) -> Answer:
        account = self._accounts.pop(self.reference(request), None)
        if account is None:
            return _no("USER_NOT_FOUND")
        effect = self.effect(request, "account_deleted", account.id, undoes=account.created)
        return Answer(200, {"kind": "identitytoolkit#DeleteAccountResponse"}, [effect])

    def _look_up(self, request: Request) -> Answer:
        ids, emails = request.params.get("localId", []), request.params.get("email", [])
        there = self._accounts.values()
        wanted = {email.lower() for email in emails if email}
        users = [a.body() for a in there if a.id in ids or a.email in wanted]
        body: dict[str, Any] = {"kind": "identitytoolkit#GetAccountInfoResponse"}
        return Answer(200, {**body, "users": users} if users else body)


def _changed(account: _Account, kind: str) -> dict[str, str]:
    email = {"email": account.email} if account.email else {}
    return {"kind": f"identitytoolkit#{kind}", "localId": account.id, **email}


def _no(code: str) -> Answer:
    """Identity Toolkit's refusals: 400 and a code for a message."""
    reason = {"message": code, "domain": "global", "reason": "invalid"}
    return Answer(400, {"error": {"code": 400, "message": code, "errors": [reason]}})

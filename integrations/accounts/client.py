"""The accounts partner's client: Firebase Authentication by its REST API (Identity Toolkit v1)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from integrations import http
from integrations.accounts.credentials import ServiceAccount
from integrations.accounts.schemas import MAX_REFERENCE, Account
from integrations.accounts.tokens import AssertedTokens
from integrations.call import Call
from integrations.conf import AccountsSettings, load
from integrations.errors import PartnerError
from integrations.http import google
from integrations.oauth.exchange import Source, send
from integrations.schemas import Answer, Identifier

_TAKEN = ("DUPLICATE_LOCAL_ID", "EMAIL_EXISTS")
_SPENT, _LATER = "QUOTA_EXCEEDED", "TOO_MANY_ATTEMPTS_TRY_LATER"


def connect() -> FirebaseAccounts:
    """A client for the partner that the environment names. Raises ImproperlyConfigured."""
    settings = load(AccountsSettings)
    account = ServiceAccount.read(settings.accounts_credentials)
    tokens = AssertedTokens(account, str(settings.accounts_token_url))
    return FirebaseAccounts(settings, account.project, tokens)


class FirebaseAccounts:
    """Accounts of a Firebase project, as its administrator."""

    def __init__(self, settings: AccountsSettings, project: str, tokens: Source) -> None:
        self._accounts = f"{settings.accounts_url}/v1/projects/{project}/accounts"
        self._tokens = tokens

    def create(self, email: str, name: str, reference: str, *, timeout: float) -> Account:
        call = _call("create", timeout)
        if not 1 <= len(reference) <= MAX_REFERENCE:
            raise call.refused(
                f"a reference of {len(reference)} characters is no account's id: "
                f"1 to {MAX_REFERENCE} are taken"
            )
        wanted = {"localId": reference, "email": email, "displayName": name, "disabled": True}
        reply = self._ask(call, "", wanted)
        if _code(reply) in _TAKEN:
            # Perhaps by an earlier call of ours, whose answer was lost or that came after it.
            there = self._look_up(replace(call, writes=False), reference)
            if there is not None and there.email.lower() == email.lower():
                return there.account()
        made = call.shape(_Made, self._accepted(call, reply))
        return Account(id=made.localId, disabled=True)

    def enable(self, account_id: str, *, timeout: float) -> Account:
        call = _call("enable", timeout)
        reply = self._ask(call, ":update", {"localId": account_id, "disableUser": False})
        enabled = call.shape(_Made, self._accepted(call, reply))
        return Account(id=enabled.localId)

    def delete(self, account_id: str, *, timeout: float) -> None:
        call = _call("delete", timeout)
        reply = self._ask(call, ":delete", {"localId": account_id})
        if _code(reply) != "USER_NOT_FOUND":
            self._accepted(call, reply)

    def find(self, reference: str, *, timeout: float) -> Account | None:
        found = self._look_up(_call("find", timeout, writes=False), reference)
        return found.account() if found else None

    def _look_up(self, call: Call, account_id: str) -> _User | None:
        reply = self._ask(call, ":lookup", {"localId": [account_id]})
        users = call.shape(_Found, self._accepted(call, reply)).users
        return users[0] if users else None

    def _ask(self, call: Call, verb: str, body: dict[str, object]) -> http.Reply:
        return send(
            call,
            self._tokens,
            "POST",
            f"{self._accounts}{verb}",
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            failure=_failure,
        )

    def _accepted(self, call: Call, reply: http.Reply) -> dict[str, Any]:
        if not 200 <= reply.status < 300:
            raise _failure(call, reply)
        return http.parse(call, reply)


class _Made(Answer):
    localId: Identifier  # noqa: N815  # Google's spelling


class _User(Answer):
    localId: Identifier  # noqa: N815
    email: str = ""
    disabled: bool = False  # left out where it is false

    def account(self) -> Account:
        return Account(id=self.localId, disabled=self.disabled)


class _Found(Answer):
    users: tuple[_User, ...] = ()


def _call(operation: str, timeout: float, *, writes: bool = True) -> Call:
    # Each names the account by an id of ours and says how it is to be: repeats change nothing.
    return Call.within(timeout, "accounts", operation, writes=writes, keyed=True)


def _failure(call: Call, reply: http.Reply) -> PartnerError:
    code = _code(reply)
    if code == _SPENT:
        return google.spent(call, reply, code)
    if code == _LATER:
        return call.unavailable(f"answered {reply.status} {code}")
    return google.failure(call, reply, code)


def _code(reply: http.Reply) -> str:
    """The code in an error body, such as EMAIL_EXISTS: what stands before the sentence, if any."""
    if reply.status < 400:
        return ""
    found = re.match(r"[A-Z][A-Z_]{1,60}(?= : |$)", http.text(reply, "error", "message"))
    return found[0] if found else ""

"""The stand-in for Firebase Authentication, asked by hand: what no client of ours sends."""

from __future__ import annotations

import time
from typing import Any

import httpx2
import pytest

from integrations.accounts.credentials import ServiceAccount
from integrations.sandbox import google
from integrations.sandbox.process import RunningSandbox

ACCOUNTS = f"/v1/projects/{google.PROJECT}/accounts"


@pytest.fixture
def ask(sandbox: RunningSandbox) -> Any:
    """Posts as the administrator."""
    account = ServiceAccount.read(google.credentials(sandbox.ledger.path))
    endpoint = f"{sandbox.address}{google.TOKEN_PATH}"
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": account.assertion(endpoint, time.time()),
    }
    token = httpx2.post(endpoint, data=form).json()["access_token"]

    def ask(path: str, **body: Any) -> httpx2.Response:
        bearer = {"Authorization": f"Bearer {token}"}
        return httpx2.post(f"{sandbox.address}{path}", json=body, headers=bearer)

    return ask


def test_only_a_known_token_opens_the_accounts(sandbox: RunningSandbox) -> None:
    for headers in ({}, {"Authorization": "Bearer ya29.guessed"}):
        answer = httpx2.post(f"{sandbox.address}{ACCOUNTS}:lookup", json={}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_another_project_is_closed(ask: Any) -> None:
    answer = ask("/v1/projects/another/accounts:lookup", localId=["x"])
    assert answer.status_code == 403


def test_an_account_is_shown_as_identity_toolkit_shows_it(ask: Any, reference: str) -> None:
    email = f"Ann{reference[6:]}@example.com"
    made = ask(ACCOUNTS, localId=reference, email=email, displayName="Ann", disabled=True)
    assert made.json() == {
        "kind": "identitytoolkit#SignupNewUserResponse",
        "localId": reference,
        "email": email.lower(),
    }
    (user,) = ask(f"{ACCOUNTS}:lookup", email=[email.lower()]).json()["users"]
    assert (user["localId"], user["displayName"], user["disabled"]) == (reference, "Ann", True)
    assert "emailVerified" not in user, "what is false is left out"
    assert ask(f"{ACCOUNTS}:update", localId=reference, disableUser=False).status_code == 200
    (user,) = ask(f"{ACCOUNTS}:lookup", localId=[reference]).json()["users"]
    assert "disabled" not in user
    assert ask(f"{ACCOUNTS}:delete", localId=reference).status_code == 200
    assert "users" not in ask(f"{ACCOUNTS}:lookup", localId=[reference]).json()


def test_what_is_changed_is_kept(ask: Any, sandbox: RunningSandbox, reference: str) -> None:
    old, new = (f"{name}{reference[6:]}@example.com" for name in ("ann", "lee"))
    ask(ACCOUNTS, localId=reference, email=old, displayName="Ann")
    changed = {"email": new.upper(), "displayName": "Lee", "emailVerified": True}
    answer = ask(f"{ACCOUNTS}:update", localId=reference, **changed)
    assert answer.json()["email"] == new
    (user,) = ask(f"{ACCOUNTS}:lookup", email=[new.upper()]).json()["users"]
    assert (user["email"], user["displayName"], user["emailVerified"]) == (new, "Lee", True)
    assert "users" not in ask(f"{ACCOUNTS}:lookup", email=[old]).json()
    ask(f"{ACCOUNTS}:update", localId=reference, deleteAttribute=["DISPLAY_NAME"])
    (user,) = ask(f"{ACCOUNTS}:lookup", localId=[reference]).json()["users"]
    assert "displayName" not in user
    ask(f"{ACCOUNTS}:update", localId=reference, emailVerified=True)
    kinds = [effect.kind for effect in sandbox.ledger.effects(reference)]
    assert kinds == ["account_created", "account_updated", "account_updated"]


def test_an_account_needs_neither_an_id_nor_an_address(ask: Any) -> None:
    made = ask(ACCOUNTS).json()
    (user,) = ask(f"{ACCOUNTS}:lookup", localId=[made["localId"]]).json()["users"]
    assert "email" not in user


def test_another_accounts_address_is_taken_in_any_letters(ask: Any, reference: str) -> None:
    email = f"ann{reference[6:]}@example.com"
    ask(ACCOUNTS, localId=reference, email=email)
    ask(ACCOUNTS, localId=f"{reference}:2")
    for verb, account in (("", f"{reference}:3"), (":update", f"{reference}:2")):
        answer = ask(f"{ACCOUNTS}{verb}", localId=account, email=email.upper())
        assert answer.json()["error"]["message"] == "EMAIL_EXISTS"


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("", {"localId": "x", "email": "nobody"}, "INVALID_EMAIL"),
        (":update", {"localId": "nobody"}, "USER_NOT_FOUND"),
        (":delete", {"localId": "nobody"}, "USER_NOT_FOUND"),
    ],
)
def test_a_refusal_is_a_code(ask: Any, verb: str, body: dict[str, Any], code: str) -> None:
    answer = ask(f"{ACCOUNTS}{verb}", **body)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, code)

"""What only the real client does. The rest is in the conformance suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from integrations.accounts.client import FirebaseAccounts
from integrations.accounts.schemas import Account
from integrations.conf import AccountsSettings
from integrations.errors import PartnerError, PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.oauth.exchange import FixedToken
from tests.integrations.http.raw import answering, response


def against(address: str) -> FirebaseAccounts:
    settings = AccountsSettings(accounts_credentials=Path("unread"), accounts_url=address)
    return FirebaseAccounts(settings, "a-project", FixedToken(SecretStr("t")))


def error(message: str) -> bytes:
    return json.dumps({"error": {"code": 400, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "message", "meaning", "detail"),
    [
        ("400 Bad Request", "EMAIL_EXISTS", PartnerRefused, "answered 400 EMAIL_EXISTS"),
        (
            "400 Bad Request",
            "INVALID_EMAIL : ann@example",
            PartnerRefused,
            "answered 400 INVALID_EMAIL",
        ),
        ("400 Bad Request", "Bad ann@example", PartnerRefused, "answered 400"),
        ("403 Forbidden", "PERMISSION_DENIED", PartnerRefused, "answered 403 PERMISSION_DENIED"),
        (
            "400 Bad Request",
            "TOO_MANY_ATTEMPTS_TRY_LATER : Retry.",
            PartnerUnavailable,
            "answered 400 TOO_MANY_ATTEMPTS_TRY_LATER",
        ),
        ("500 Internal Server Error", "INTERNAL", PartnerUnknown, "answered 500 INTERNAL"),
    ],
)
def test_an_error_means_what_its_code_says_and_repeats_no_sentence(
    status: str, message: str, meaning: type[PartnerError], detail: str
) -> None:
    nobody = response(b"{}")  # where it looks up who has the address
    with (
        answering(response(error(message), status), nobody) as address,
        pytest.raises(meaning) as caught,
    ):
        against(address).create("ann@example.com", "Ann", "r", timeout=5.0)
    assert caught.value.detail == detail


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"localId": ""}'])
def test_an_answer_that_is_no_account_is_unknown(body: bytes) -> None:
    with answering(response(body)) as address:
        with pytest.raises(PartnerUnknown):
            against(address).create("ann@example.com", "Ann", "r", timeout=5.0)
        with pytest.raises(PartnerUnknown):
            against(address).enable("r", timeout=5.0)


def test_a_token_that_is_refused_for_good_asked_for_nothing() -> None:
    refusal = answering(response(b"{}", "401 Unauthorized"))
    with refusal as address, pytest.raises(PartnerUnavailable, match="access token"):
        against(address).create("ann@example.com", "Ann", "r", timeout=5.0)


@pytest.mark.parametrize("code", ["DUPLICATE_LOCAL_ID", "EMAIL_EXISTS"])
def test_what_an_earlier_call_of_ours_has_taken_is_ours(code: str) -> None:
    taken = response(error(code), "400 Bad Request")
    user = {"localId": "r", "email": "Ann@example.com", "disabled": True}
    there = response(json.dumps({"users": [user]}).encode())
    with answering(taken, there) as address:
        made = against(address).create("ann@example.com", "Ann", "r", timeout=5.0)
    assert made == Account(id="r", disabled=True)


@pytest.mark.parametrize("code", ["DUPLICATE_LOCAL_ID", "EMAIL_EXISTS"])
def test_whether_it_is_ours_stays_open_while_nobody_can_be_asked(code: str) -> None:
    taken, away = response(error(code), "400 Bad Request"), response(b"", "500 Away")
    with answering(taken, away) as address, pytest.raises(PartnerUnavailable):
        against(address).create("ann@example.com", "Ann", "r", timeout=5.0)

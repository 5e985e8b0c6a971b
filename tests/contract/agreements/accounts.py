"""What we rely on of Firebase Authentication. Its access token is got from Google, not from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from integrations.accounts.client import FirebaseAccounts, connect
from integrations.accounts.credentials import ServiceAccount
from integrations.accounts.schemas import Account
from integrations.accounts.tokens import AssertedTokens
from integrations.call import Call
from integrations.conf import AccountsSettings, load
from integrations.errors import PartnerRefused
from integrations.oauth.exchange import FixedToken
from tests.contract.terms import (
    BEARER,
    REFERENCE,
    TIMEOUT,
    Agreement,
    Partner,
    from_state,
    path_of,
    reference,
    text,
)

_EMAIL = "ann@example.com"
_WANTED = {
    "localId": reference(),
    "email": from_state(_EMAIL, "email"),
    "displayName": "Ann",
    "disabled": True,
}


def _path(verb: str = "") -> object:
    return path_of(
        f"/v1/projects/shop-1/accounts{verb}",
        f"^/v1/projects/[a-z0-9-]+/accounts{verb}$",
        f"/v1/projects/${{project}}/accounts{verb}",
    )


# Our client


def _client(address: str) -> FirebaseAccounts:
    settings = AccountsSettings(accounts_credentials=Path("unused"), accounts_url=address)
    return FirebaseAccounts(settings, "shop-1", FixedToken(SecretStr("token-1")))


def _creates(address: str) -> None:
    made = _client(address).create(_EMAIL, "Ann", REFERENCE, timeout=TIMEOUT)
    assert made == Account(id=REFERENCE, disabled=True)


def _is_refused(address: str) -> None:
    with pytest.raises(PartnerRefused, match="400 EMAIL_EXISTS"):
        _creates(address)


def _enables(address: str) -> None:
    assert _client(address).enable(REFERENCE, timeout=TIMEOUT) == Account(id=REFERENCE)


def _deletes(address: str) -> None:
    _client(address).delete(REFERENCE, timeout=TIMEOUT)


def _finds(address: str) -> None:
    found = _client(address).find(REFERENCE, timeout=TIMEOUT)
    assert found == Account(id=REFERENCE, disabled=True)


def _finds_nothing(address: str) -> None:
    assert _client(address).find(REFERENCE, timeout=TIMEOUT) is None


# The partner's states


def _credentials() -> Mapping[str, str]:
    settings = load(AccountsSettings)
    account = ServiceAccount.read(settings.accounts_credentials)
    tokens = AssertedTokens(account, str(settings.accounts_token_url))
    asking = Call.within(TIMEOUT, "accounts", "verify", writes=False)
    return {"project": account.project, "token": tokens.current(asking).secret}


def _there() -> Mapping[str, str]:
    wanted, email = f"customer:{uuid4().hex}", f"{uuid4().hex}@example.com"
    connect().create(email, "Ann", wanted, timeout=TIMEOUT)
    return {"reference": wanted, "email": email}


def _taken() -> Mapping[str, str]:
    """Another reference has the address."""
    return {**_there(), "reference": f"customer:{uuid4().hex}"}


_NOBODY = Agreement(
    "a search for an account that is not there",
    "there is no such account",
    "POST",
    _path(":lookup"),
    _finds_nothing,
    headers=BEARER,
    body={"localId": [reference()]},
    answer={},
)

PARTNER = Partner(
    name="accounts",
    address_variable="INTEGRATIONS_ACCOUNTS_URL",
    credentials=_credentials,
    states={
        "there is no such account": dict,
        "there is an account, disabled": _there,
        "the e-mail address is taken": _taken,
    },
    agreements=[
        Agreement(
            "an account",
            "there is no such account",
            "POST",
            _path(),
            _creates,
            headers=BEARER,
            body=_WANTED,
            answer={"localId": text(REFERENCE)},
        ),
        Agreement(
            "an account whose e-mail address is taken",
            "the e-mail address is taken",
            "POST",
            _path(),
            _is_refused,
            status=400,
            headers=BEARER,
            body=_WANTED,
            answer={"error": {"message": "EMAIL_EXISTS"}},
            also=(_NOBODY,),
        ),
        Agreement(
            "an account to enable",
            "there is an account, disabled",
            "POST",
            _path(":update"),
            _enables,
            headers=BEARER,
            body={"localId": reference(), "disableUser": False},
            answer={"localId": text(REFERENCE)},
        ),
        Agreement(
            "an account to delete",
            "there is an account, disabled",
            "POST",
            _path(":delete"),
            _deletes,
            headers=BEARER,
            body={"localId": reference()},
            answer={},
        ),
        Agreement(
            "an account to delete that is not there",
            "there is no such account",
            "POST",
            _path(":delete"),
            _deletes,
            status=400,
            headers=BEARER,
            body={"localId": reference()},
            answer={"error": {"message": "USER_NOT_FOUND"}},
        ),
        Agreement(
            "a search for an account",
            "there is an account, disabled",
            "POST",
            _path(":lookup"),
            _finds,
            headers=BEARER,
            body={"localId": [reference()]},
            answer={"users": [{"localId": text(REFERENCE), "disabled": True}]},
        ),
        _NOBODY,
    ],
)

"""Access tokens of the stand-in for Google, asked for by hand."""

from __future__ import annotations

import time
from pathlib import Path

import httpx2
import pytest

from integrations.accounts.credentials import ServiceAccount
from integrations.sandbox import google
from integrations.sandbox.process import RunningSandbox, running_sandbox

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture
def account(sandbox: RunningSandbox) -> ServiceAccount:
    return ServiceAccount.read(google.credentials(sandbox.ledger.path))


def token_for(sandbox: RunningSandbox, assertion: str, grant: str = GRANT) -> httpx2.Response:
    form = {"grant_type": grant, "assertion": assertion}
    return httpx2.post(f"{sandbox.address}{google.TOKEN_PATH}", data=form)


def signed(account: ServiceAccount, sandbox: RunningSandbox, age: float = 0.0) -> str:
    return account.assertion(f"{sandbox.address}{google.TOKEN_PATH}", time.time() - age)


def test_a_signed_assertion_gets_a_token(sandbox: RunningSandbox, account: ServiceAccount) -> None:
    answer = token_for(sandbox, signed(account, sandbox))
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"


def test_the_audience_of_googles_own_clients_is_taken(
    sandbox: RunningSandbox, account: ServiceAccount
) -> None:
    assertion = account.assertion("https://oauth2.googleapis.com/token", time.time())
    assert token_for(sandbox, assertion).status_code == 200


def test_what_is_not_signed_for_this_and_now_gets_none(
    sandbox: RunningSandbox, account: ServiceAccount
) -> None:
    good = signed(account, sandbox)
    head, claims, signature = good.split(".")
    other = account.assertion("https://elsewhere.example", time.time())
    for assertion in (
        "",
        "a.b",
        f"{head}.{claims}.AAAA",
        f"{head}.{claims[:-2]}AA.{signature}",
        other,
        signed(account, sandbox, age=7200),
        signed(account, sandbox, age=-7200),
    ):
        answer = token_for(sandbox, assertion)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    answer = token_for(sandbox, good, grant="password")
    assert answer.json()["error"] == "unsupported_grant_type"


def test_the_key_is_for_its_owner_alone_and_outlives_the_sandbox(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    with running_sandbox(ledger):
        path = google.credentials(ledger)
        assert path.stat().st_mode & 0o777 == 0o600
        key = path.read_text()
    with running_sandbox(ledger) as again:
        account = ServiceAccount.read(path)
        assert token_for(again, signed(account, again)).status_code == 200
    assert path.read_text() == key

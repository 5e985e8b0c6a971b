"""Access tokens for a signed assertion, against the sandbox."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from integrations.accounts.client import FirebaseAccounts, connect
from integrations.accounts.credentials import ServiceAccount
from integrations.accounts.tokens import AssertedTokens
from integrations.call import Call
from integrations.conf import AccountsSettings, load
from integrations.errors import NotAsked, PartnerUnavailable
from integrations.sandbox.google import TOKEN_PATH, credentials
from integrations.sandbox.process import RunningSandbox, running_sandbox
from tests.integrations.http.raw import answering, response


@pytest.fixture
def account(sandbox: RunningSandbox) -> ServiceAccount:
    return ServiceAccount.read(load(AccountsSettings).accounts_credentials)


@pytest.fixture
def tokens(sandbox: RunningSandbox, account: ServiceAccount) -> AssertedTokens:
    return AssertedTokens(account, f"{sandbox.address}{TOKEN_PATH}")


def a_call(timeout: float = 5.0) -> Call:
    return Call.within(timeout, "accounts", "create")


def asked(sandbox: RunningSandbox) -> int:
    return sum(a.operation == "ask_for_token" for a in sandbox.ledger.arrivals())


def test_one_token_serves_many_calls(sandbox: RunningSandbox, tokens: AssertedTokens) -> None:
    before = asked(sandbox)
    assert tokens.current(a_call()) is tokens.current(a_call())
    assert asked(sandbox) == before + 1


def test_a_refused_token_is_replaced_once_however_many_were_refused_it(
    sandbox: RunningSandbox, tokens: AssertedTokens
) -> None:
    refused, before = tokens.current(a_call()), asked(sandbox)
    newer: list[object] = []
    together = threading.Barrier(8)

    def renew() -> None:
        together.wait()
        newer.append(tokens.renewed(a_call(), refused))

    threads = [threading.Thread(target=renew) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(newer) == 8
    assert len(set(map(id, newer))) == 1
    assert asked(sandbox) == before + 1


def test_a_token_that_has_expired_is_asked_for_anew(account: ServiceAccount) -> None:
    body = json.dumps({"access_token": "t", "expires_in": 0, "token_type": "Bearer"})
    with answering(response(body.encode())) as address:
        tokens = AssertedTokens(account, address)
        generations = [tokens.current(a_call()).generation for _ in range(2)]
    assert generations == [1, 2]


def test_who_waits_for_another_threads_token_waits_no_longer_than_its_call(
    tokens: AssertedTokens,
) -> None:
    with tokens._lock, pytest.raises(PartnerUnavailable, match="no time was left to wait"):
        tokens.current(a_call(0.01))


def test_calls_go_on_when_the_partner_has_forgotten_every_token(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "ledger.sqlite3") as sandbox:
        settings = AccountsSettings.model_validate(
            {
                "accounts_credentials": credentials(sandbox.ledger.path),
                "accounts_url": sandbox.address,
                "accounts_token_url": f"{sandbox.address}{TOKEN_PATH}",
            }
        )
        account = ServiceAccount.read(settings.accounts_credentials)
        tokens = AssertedTokens(account, str(settings.accounts_token_url))
        client = FirebaseAccounts(settings, account.project, tokens)
        client.create("ann@example.com", "Ann", "r:1", timeout=5.0)
        sandbox.reset()
        client.create("ann@example.com", "Ann", "r:2", timeout=5.0)
        assert [effect.reference for effect in sandbox.ledger.effects()] == ["r:2"]


def test_a_key_that_the_partner_does_not_know_waits_for_a_person(
    sandbox: RunningSandbox, tmp_path: Path, reference: str
) -> None:
    with running_sandbox(tmp_path / "ledger.sqlite3") as other:
        foreign = ServiceAccount.read(credentials(other.ledger.path))
    tokens = AssertedTokens(foreign, f"{sandbox.address}{TOKEN_PATH}")
    client = FirebaseAccounts(load(AccountsSettings), foreign.project, tokens)
    with pytest.raises(NotAsked, match="no access token: invalid_grant") as caught:
        client.create("ann@example.com", "Ann", reference, timeout=5.0)
    assert caught.value.retry_after == 300.0
    assert sandbox.ledger.effects(reference) == []


@pytest.mark.parametrize(
    "answer",
    [
        response(b"", "503 Service Unavailable"),
        response(b"", "500 Internal Server Error"),
        response(b"<html>"),
        response(b"{}"),
        b"",
    ],
)
def test_without_a_token_nothing_was_asked_of_the_partner(
    account: ServiceAccount, answer: bytes
) -> None:
    with answering(answer) as address, pytest.raises(PartnerUnavailable):
        AssertedTokens(account, address).current(a_call())


def test_neither_token_nor_assertion_is_in_an_error(
    sandbox: RunningSandbox, tokens: AssertedTokens, reference: str
) -> None:
    access = tokens.current(a_call())
    sandbox.add_fault("drop-before", service="accounts", reference=reference)
    client = connect()
    with pytest.raises(Exception, match="accounts create") as caught:
        client.create("ann@example.com", "Ann", reference, timeout=5.0)
    assert access.secret not in f"{caught.value} {caught.value.__cause__!r} {access!r}"
    assert "ann@" not in str(caught.value)

"""Access tokens against the sandbox's token endpoints."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from integrations.call import Call
from integrations.errors import NotAsked, PartnerUnavailable
from integrations.oauth import store
from integrations.oauth.exchange import PAUSE
from integrations.oauth.models import Token
from integrations.oauth.sealing import VARIABLE
from integrations.oauth.tokens import Tokens
from integrations.sandbox.process import RunningSandbox
from tests.integrations.http.raw import answering, response
from tests.integrations.oauth.rig import Account

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def salesforce(db: None, sandbox: RunningSandbox) -> Account:
    return Account(sandbox, "salesforce", "client_credentials")


@pytest.fixture
def hubspot(db: None, sandbox: RunningSandbox) -> Account:
    account = Account(sandbox, "hubspot", "refresh_token")
    account.authorize(sandbox.set_tokens("hubspot"))
    return account


@pytest.fixture
def rotating(db: None, sandbox: RunningSandbox) -> Account:
    account = Account(sandbox, "salesforce", "refresh_token")
    account.authorize(sandbox.set_tokens("salesforce", rotates=True))
    return account


def test_one_token_serves_many_calls(salesforce: Account) -> None:
    assert [salesforce.ask().status for _ in range(3)] == [404] * 3
    assert salesforce.asked == 1


def test_a_token_is_stored_encrypted(salesforce: Account) -> None:
    salesforce.ask()
    with connection.cursor() as cursor:
        cursor.execute("SELECT access, refresh FROM integrations_oauth_token")
        access, refresh = cursor.fetchone()
    assert re.fullmatch(r"[0-9a-f]{8}:gAAAA[\w=-]+", access)
    assert "access-" not in access
    assert refresh is None


def test_a_token_is_renewed_a_little_before_it_expires(hubspot: Account) -> None:
    hubspot.ask()
    ends = hubspot.row.expires_at
    assert ends is not None
    left = (ends - timezone.now()).total_seconds()
    assert 1700 < left < 1800 - 29
    Token.objects.update(expires_at=timezone.now())
    hubspot.ask()
    assert hubspot.asked == 2
    statuses = [a.status for a in hubspot.sandbox.ledger.arrivals() if a.service == "hubspot"]
    assert statuses[-4:] == [200, 404, 200, 404]  # never refused


def test_a_token_that_the_partner_refuses_is_renewed_once(salesforce: Account) -> None:
    salesforce.ask()
    salesforce.sandbox.set_tokens("salesforce", expire=True)
    assert salesforce.ask().status == 404
    assert salesforce.asked == 2
    assert salesforce.row.generation == 2


def test_a_refused_token_that_somebody_has_renewed_is_not_renewed_again(
    salesforce: Account,
) -> None:
    call = Call.within(5.0, "salesforce", "look", writes=False)
    refused = salesforce.tokens.current(call)
    renewed = salesforce.tokens.renewed(call, refused)
    assert salesforce.tokens.renewed(call, refused) == renewed
    assert salesforce.asked == 2


def test_a_token_that_is_refused_twice_is_no_answer_of_the_partner(salesforce: Account) -> None:
    salesforce.sandbox.set_tokens("salesforce", lifetime=0.0)
    with pytest.raises(PartnerUnavailable, match="takes our access token no more") as raised:
        salesforce.ask()
    assert raised.value.retry_after == PAUSE
    assert salesforce.asked == 2


def test_a_refresh_token_replaces_the_one_it_came_for(rotating: Account) -> None:
    first = rotating.row.refresh
    rotating.ask()
    second = rotating.row.refresh
    assert first is not None
    assert second is not None
    assert first.open() != second.open()
    rotating.sandbox.set_tokens("salesforce", expire=True)
    assert rotating.ask().status == 404
    assert rotating.asked == 2


def test_a_lost_answer_to_a_refresh_token_that_was_used_up_is_told(
    rotating: Account, caplog: pytest.LogCaptureFixture
) -> None:
    rotating.sandbox.add_fault("drop-after", service="salesforce", operation="token", times=1)
    with pytest.raises(PartnerUnavailable, match="no access token"):
        rotating.ask()
    assert rotating.row.unanswered_at is not None
    assert rotating.row.attention == ""
    with caplog.at_level(logging.ERROR), pytest.raises(NotAsked, match="invalid_grant"):
        rotating.ask()
    assert "was lost" in rotating.row.attention
    assert "oauth authorize" in caplog.text
    with pytest.raises(NotAsked, match="was lost"):
        rotating.ask()
    assert rotating.asked == 2  # nobody asks any more


def test_a_person_who_authorizes_anew_ends_the_attention(rotating: Account) -> None:
    rotating.authorize("used-up-long-ago")
    with pytest.raises(NotAsked):
        rotating.ask()
    assert rotating.row.attention
    rotating.authorize(rotating.sandbox.set_tokens("salesforce"))
    assert rotating.ask().status == 404
    assert rotating.row.attention == ""


def test_a_lost_answer_to_one_that_was_not_used_up_heals_itself(rotating: Account) -> None:
    rotating.sandbox.add_fault("drop-before", service="salesforce", operation="token", times=1)
    with pytest.raises(PartnerUnavailable):
        rotating.ask()
    assert rotating.ask().status == 404
    assert rotating.row.unanswered_at is None


@pytest.mark.parametrize("fault", ["unavailable-503", "rate-limit-429;retry-after=7", "garbage"])
def test_a_token_endpoint_that_is_away_makes_the_call_unavailable(
    fault: str, salesforce: Account
) -> None:
    salesforce.sandbox.add_fault(fault, service="salesforce", operation="token", times=1)
    with pytest.raises(PartnerUnavailable) as caught:
        salesforce.ask()
    assert caught.value.retry_after == (7 if "7" in fault else None)
    assert (salesforce.row.access, salesforce.row.attention) == (None, "")


def test_client_credentials_that_are_denied_a_grant_need_no_refresh_token(
    salesforce: Account, caplog: pytest.LogCaptureFixture
) -> None:
    refuse = {"service": "salesforce", "operation": "token", "times": 1}
    salesforce.sandbox.add_fault("refuse", **refuse)
    with caplog.at_level(logging.ERROR), pytest.raises(NotAsked, match="user whom") as caught:
        salesforce.ask()
    assert "invalid_grant" in str(caught.value)
    assert "refresh token" not in f"{caught.value}{caplog.text}"
    assert salesforce.row.attention == ""
    assert salesforce.ask().status == 404, "it is asked again by itself"


def test_what_once_needed_a_person_for_them_is_forgotten(salesforce: Account) -> None:
    with store.locked("salesforce", salesforce.client.client_id, 5.0) as token:
        store.need_attention(token, "store a new refresh token")  # as older code did
    assert salesforce.ask().status == 404
    assert salesforce.row.attention == ""


@pytest.mark.parametrize(
    "said",
    [
        {"error": "invalid_grant", "error_description": "token request is already being processed"},
        {"error": "unknown_error", "error_description": "retry your request"},
    ],
)
def test_a_refusal_that_passes_leaves_the_refresh_token_alone(
    said: dict[str, str], rotating: Account
) -> None:
    passing = response(json.dumps(said).encode(), "400 Bad Request")
    with answering(passing) as address:
        there = Tokens(replace(rotating.client, token_url=address), "refresh_token")
        call = Call.within(5.0, "salesforce", "look", writes=False)
        with pytest.raises(PartnerUnavailable) as caught:
            there.current(call)
    assert not isinstance(caught.value, NotAsked), "it is tried again soon"
    assert rotating.row.attention == ""
    assert rotating.ask().status == 404


def test_a_wrong_secret_needs_a_person_and_none_once_it_is_right(
    salesforce: Account, sandbox: RunningSandbox
) -> None:
    wrong = Account(sandbox, "salesforce", "client_credentials", secret="wrong")
    with pytest.raises(NotAsked, match="invalid_client"):
        wrong.ask()
    assert salesforce.ask().status == 404


def test_without_a_refresh_token_the_command_is_named(db: None, sandbox: RunningSandbox) -> None:
    account = Account(sandbox, "hubspot", "refresh_token")
    with pytest.raises(NotAsked, match="oauth authorize"):
        account.ask()
    assert account.asked == 0


def test_tokens_whose_key_is_gone_are_not_asked_with(
    hubspot: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    hubspot.ask()
    monkeypatch.setenv(VARIABLE, "A" * 43 + "=")
    with pytest.raises(NotAsked, match="put that key back"):
        hubspot.ask()
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(NotAsked, match=VARIABLE):
        hubspot.ask()


def test_secrets_are_in_no_log_no_error_and_no_repr(
    rotating: Account, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refresh = rotating.row.refresh
    assert refresh is not None
    rotating.sandbox.add_fault("refuse", service="salesforce", operation="token", times=1)
    with pytest.raises(NotAsked) as caught:
        rotating.ask()
    rotating.authorize(refresh.open())
    rotating.ask()
    row = rotating.row
    assert row.access is not None
    shown = f"{caplog.text} {caught.getrepr()} {row!r} {vars(row)} {rotating.client!r}"
    for secret in (refresh.open(), row.access.open(), "sandbox-client-secret"):
        assert secret not in shown


@pytest.mark.django_db(transaction=True)
def test_a_transaction_of_the_callers_cannot_undo_a_rotation(sandbox: RunningSandbox) -> None:
    account = Account(sandbox, "salesforce", "refresh_token")
    account.authorize(sandbox.set_tokens("salesforce", rotates=True))
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        account.ask()
    assert account.asked == 0


@pytest.mark.django_db(transaction=True)
def test_who_cannot_wait_for_the_one_that_asks_comes_back_later(sandbox: RunningSandbox) -> None:
    account = Account(sandbox, "salesforce", "client_credentials")
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.locked("salesforce", account.client.client_id, 5.0):
            held.set()
            done.wait(90)
        connection.close()

    with ThreadPoolExecutor(1) as other:
        holding = other.submit(hold)
        held.wait(10)
        call = Call.within(60.0, "salesforce", "look", writes=False)
        with pytest.raises(NotAsked, match="another process"):
            account.tokens.current(call)
        assert call.remaining > 40, "a token endpoint that hangs holds a worker for two seconds"
        done.set()
        holding.result()
    assert account.asked == 0


_CALLERS = """
import sys, threading
import django; django.setup()
from django.db import connection
from tests.integrations.oauth.rig import Account
from integrations.sandbox.process import RunningSandbox
from integrations.sandbox.ledger import Ledger
from pathlib import Path
address, ledger, partner, grant = sys.argv[1:]
account = Account(RunningSandbox(address, ("", 0), Ledger(Path(ledger)), 0), partner, grant)
together, answers = threading.Barrier(10), []
def call():
    together.wait()
    try:
        answers.append(account.ask(timeout=30.0).status)
    finally:
        connection.close()
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=call) for _ in range(10)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(answers), flush=True)
"""


@pytest.mark.parametrize("state", ["expired", "refused"])
@pytest.mark.django_db(transaction=True)
def test_twenty_callers_in_two_processes_renew_a_token_once(
    state: str, sandbox: RunningSandbox, process_environment: dict[str, str]
) -> None:
    account = Account(sandbox, "salesforce", "refresh_token")
    account.authorize(sandbox.set_tokens("salesforce", rotates=True))
    account.ask()
    if state == "expired":
        Token.objects.update(expires_at="2000-01-01T00:00:00Z")
    sandbox.set_tokens("salesforce", expire=True)
    sandbox.add_fault("slow;seconds=0.3", service="salesforce", operation="token", times=1)
    command = [sys.executable, "-c", _CALLERS, sandbox.address, str(sandbox.ledger.path)]
    environment = {**process_environment, "DJANGO_SETTINGS_MODULE": "project.settings"}
    processes = [
        subprocess.Popen(
            [*command, "salesforce", "refresh_token"],
            cwd=ROOT,
            env={**environment, **{k: v for k, v in os.environ.items() if "INTEGRATIONS" in k}},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = [process.communicate("go\n", timeout=60)[0] for process in processes]
    assert said == [f"{[404] * 10}\n"] * 2
    assert account.asked == 2  # the first one, and one for all twenty
    assert account.row.generation == 3  # a person's, the first, the renewed

from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from integrations.oauth.models import Token
from integrations.oauth.sealing import VARIABLE, Sealed, newest_key
from sagas.models import AuditEntry
from sagas.operate.asker import Shell

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def old_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, OLD)


def run(*words: str) -> str:
    told = io.StringIO()
    call_command("oauth", *words, stdout=told)
    return told.getvalue()


def test_a_new_key_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, run("new-key").strip())
    assert Sealed.of("x").open() == "x"


def test_all_tokens_are_put_under_the_newest_key(monkeypatch: pytest.MonkeyPatch) -> None:
    Token.objects.create(partner="a", credential="1", access=Sealed.of("A"), refresh=None)
    Token.objects.create(partner="b", credential="2", access=Sealed.of("B"), refresh=Sealed.of("R"))
    monkeypatch.setenv(VARIABLE, f"{NEW},{OLD}")
    assert f"2 tokens were encrypted anew with key {newest_key()}" in run("reencrypt")
    assert "0 tokens" in run("reencrypt")
    monkeypatch.setenv(VARIABLE, NEW)
    a, b = Token.objects.order_by("partner")
    assert a.access
    assert b.access
    assert b.refresh
    assert (a.access.open(), b.access.open(), b.refresh.open()) == ("A", "B", "R")
    assert a.refresh is None


def test_a_token_that_cannot_be_read_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Token.objects.create(partner="a", credential="1", access=Sealed.of("A"))
    monkeypatch.setenv(VARIABLE, NEW)
    Token.objects.create(partner="b", credential="2", access=Sealed.of("B"))
    newest = Fernet.generate_key().decode()
    monkeypatch.setenv(VARIABLE, f"{newest},{NEW}")
    with pytest.raises(CommandError, match=r"(?s)^1 tokens.*a 1: .*put that key back"):
        run("reencrypt")
    b = Token.objects.get(partner="b")
    assert b.access
    assert b.access.key_id == newest_key()


def test_a_refresh_token_is_taken_from_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the-token\n"))
    told = run("authorize", "hubspot", "our-id")
    token = Token.objects.get(partner="hubspot", credential="our-id")
    assert token.refresh
    assert token.refresh.open() == "the-token"
    assert "the-token" not in told


def test_who_authorizes_us_at_a_partner_is_in_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret-token\n"))
    run("authorize", "hubspot", "our-id")
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.subject) == ("authorize", "hubspot our-id")
    assert entry.actor == Shell().get_username()


def test_an_empty_refresh_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError, match="No refresh token"):
        run("authorize", "hubspot", "our-id")
    assert not Token.objects.exists()


def test_a_token_for_a_partner_that_nobody_knows_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the-token\n"))
    with pytest.raises(CommandError, match="Did you mean 'hubspot'"):
        run("authorize", "hubpsot", "our-id")
    assert not Token.objects.exists()


def test_without_keys_it_says_which_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(CommandError, match=VARIABLE):
        run("reencrypt")

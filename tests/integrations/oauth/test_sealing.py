from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

from integrations.oauth.sealing import VARIABLE, Sealed, Unreadable, newest_key

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
SECRET = "00Dxx!a-very-secret-token"


@pytest.fixture(autouse=True)
def old_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, OLD)


def test_a_sealed_secret_is_opened_again() -> None:
    assert Sealed.of(SECRET).open() == SECRET


def test_a_sealed_secret_shows_nowhere() -> None:
    sealed = Sealed.of(SECRET)
    assert SECRET not in f"{sealed!r} {sealed} {sealed.text}"
    assert f"{sealed!r}" == f"<sealed with key {newest_key()}>"


def test_an_older_key_still_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed.of(SECRET)
    monkeypatch.setenv(VARIABLE, f"{NEW},{OLD}")
    assert sealed.open() == SECRET
    assert sealed.key_id != newest_key()


def test_a_renewed_secret_needs_the_older_key_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed.of(SECRET)
    monkeypatch.setenv(VARIABLE, f"{NEW},{OLD}")
    renewed = sealed.renewed()
    monkeypatch.setenv(VARIABLE, NEW)
    assert renewed.open() == SECRET
    assert renewed.key_id == newest_key()


def test_a_key_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sealed = Sealed.of(SECRET)
    monkeypatch.setenv(VARIABLE, NEW)
    for read in (sealed.open, sealed.renewed):
        with pytest.raises(Unreadable, match=f"key {sealed.key_id}, which {VARIABLE} does not"):
            read()


def test_what_was_changed_in_the_database_is_not_opened() -> None:
    sealed = Sealed.of(SECRET)
    changed = Sealed(sealed.text[:-6] + "AAAAA=")
    with pytest.raises(Unreadable, match="was changed since"):
        changed.open()


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ("", "Field required"),
        ("secret", "key 1 of 1 is not 32 bytes"),
        (f"{OLD},pasted-by-mistake", "key 2 of 2 is not 32 bytes"),
        (f"{OLD},{OLD}", "listed twice"),
    ],
    ids=["none", "no key", "one of two is none", "twice"],
)
def test_keys_that_cannot_be_used_are_told_without_their_values(
    listed: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, listed)
    with pytest.raises(ImproperlyConfigured, match=f"{VARIABLE}: .*{complaint}") as caught:
        Sealed.of(SECRET)
    assert "pasted" not in str(caught.value)
    assert OLD not in str(caught.value)


def test_without_keys_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ImproperlyConfigured, match=f"{VARIABLE}: Field required"):
        newest_key()

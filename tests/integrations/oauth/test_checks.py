import pytest
from cryptography.fernet import Fernet

from integrations.oauth.checks import check_keys, check_keys_are_there
from integrations.oauth.sealing import VARIABLE


def test_good_keys_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    assert [*check_keys(), *check_keys_are_there()] == []


def test_a_malformed_key_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "hunter2")
    (error,) = check_keys()
    assert error.id == "integrations_oauth.E001"
    assert error.hint is not None
    assert "new-key" in error.hint
    assert "hunter2" not in error.msg


def test_missing_keys_are_told_at_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert check_keys() == []
    (caution,) = check_keys_are_there()
    assert caution.id == "integrations_oauth.W002"

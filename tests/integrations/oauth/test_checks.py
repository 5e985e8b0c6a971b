import pytest
from cryptography.fernet import Fernet

from integrations.oauth.checks import check_keys
from integrations.oauth.sealing import VARIABLE


def test_good_keys_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Fernet.generate_key().decode())
    assert check_keys() == []


def test_a_malformed_key_is_an_error_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "hunter2")
    (error,) = check_keys()
    assert error.id == "integrations_oauth.E001"
    assert error.hint is not None
    assert "new-key" in error.hint
    assert "hunter2" not in error.msg


def test_missing_keys_are_told_to_whoever_needs_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    for name in ("SALESFORCE", "HUBSPOT"):
        monkeypatch.delenv(f"INTEGRATIONS_{name}_CLIENT_SECRET", raising=False)
    assert check_keys() == []
    monkeypatch.setenv("INTEGRATIONS_SALESFORCE_CLIENT_SECRET", "hunter2")
    (error,) = check_keys()
    assert error.id == "integrations_oauth.E002"
    assert "INTEGRATIONS_SALESFORCE_CLIENT_SECRET is set" in error.msg
    assert "hunter2" not in error.msg

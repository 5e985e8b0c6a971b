from __future__ import annotations

import pytest
from django.core.checks import run_checks

from integrations.webhooks.checks import check_secrets
from tests.integrations.webhooks.senders import OLD, trusted


def test_sound_secrets_pass() -> None:
    assert check_secrets() == []


def test_a_secret_that_is_none_is_an_error_before_anybody_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with trusted(monkeypatch, OLD, "no-base64-at-all-this"):
        (error,) = [e for e in run_checks() if e.id == "integrations.E003"]
    assert "INTEGRATIONS_WEBHOOKS_SHIPPING_SECRETS" in error.msg
    assert "no-base64" not in error.msg
    assert "docs/webhooks.md" in (error.hint or "")

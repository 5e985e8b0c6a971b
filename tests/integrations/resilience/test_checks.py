import json

import pytest
from django.core.checks import run_checks

from integrations.resilience.checks import check_resilience, refuse_bad_settings


def say(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    monkeypatch.setenv("INTEGRATIONS_RESILIENCE", json.dumps(value))


def test_sound_settings_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {"*": {"retry": {"tries": 1}}, "payments": {"rate": {"per_second": 25}}})
    assert check_resilience() == []


def test_a_slip_is_an_error_before_anything_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {"payments": {"rate": {"per_secnd": 25}}})
    (error,) = [e for e in run_checks() if e.id == "integrations.E001"]
    assert "payments.rate.per_secnd" in error.msg
    assert "docs/resilience.md" in (error.hint or "")


@pytest.mark.parametrize("partner", ["payments", "slack"])
def test_a_partner_with_a_connector_is_known(partner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {partner: {}})
    assert check_resilience() == []


def test_the_name_of_no_partner_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {"paymnets": {}})
    (caution,) = check_resilience()
    assert caution.id == "integrations.W002"
    assert "'paymnets'" in caution.msg
    assert "payments" in (caution.hint or "")


def test_no_worker_starts_whose_every_call_would_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_bad_settings()
    say(monkeypatch, {"payments": {"rate": {"per_second": -1}}})
    with pytest.raises(SystemExit, match=r"integrations\.E001.*payments\.rate\.per_second"):
        refuse_bad_settings()

import json

import pytest
from django.core.exceptions import ImproperlyConfigured

from integrations.resilience.conf import Policies, policies


def say(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv("INTEGRATIONS_RESILIENCE", text)


def test_without_settings_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTEGRATIONS_RESILIENCE")
    assert policies("payments") == Policies()


def test_a_partner_differs_only_in_what_is_said_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {"payments": {"rate": {"per_second": 25}, "bulkhead": {"critical": 10}}})
    told = policies("payments")
    assert (told.rate.per_second, told.rate.burst) == (25, 25)
    assert (told.bulkhead.critical, told.bulkhead.other) == (10, 10)
    assert policies("shipping") == Policies()


def test_what_is_said_of_every_partner_yields_to_what_is_said_of_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(
        monkeypatch,
        {
            "*": {"rate": {"per_second": 5, "pause": 2}},
            "payments": {"rate": {"per_second": None}},
        },
    )
    assert policies("shipping").rate.per_second == 5
    assert policies("payments").rate.per_second is None
    assert policies("payments").rate.pause == 2


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("{", "is no JSON such as"),
        ("[" * 100_000, "is no JSON such as"),
        ("[]", "should be a valid dictionary"),
        ({"payments": 3}, "should be a valid dictionary"),
        ({"payments": {"rates": {}}}, r"payments\.rates: Extra inputs are not permitted"),
        ({"payments": {"rate": {"per_sec": 1}}}, r"payments\.rate\.per_sec: Extra inputs"),
        ({"payments": {"rate": {"per_second": 0}}}, r"payments\.rate\.per_second: .* than 0"),
        ({"payments": {"rate": {"per_second": "x"}}}, r"payments\.rate\.per_second: .* number"),
        ({"*": {"retry": {"tries": 3}}}, r"\*\.retry\.tries: .* less than or equal to 2"),
        ({"*": {"bulkhead": {"critical": 0}}}, r"\*\.bulkhead\.critical"),
        ({"*": {"breaker": {"cooldown": 9, "longest": 8}}}, "longest is shorter than cooldown"),
        ({"*": {"adaptive": {"least": 9, "most": 8}}}, "most is less than least"),
    ],
)
def test_a_slip_is_refused_with_its_place(
    monkeypatch: pytest.MonkeyPatch, value: object, complaint: str
) -> None:
    say(monkeypatch, value)
    with pytest.raises(ImproperlyConfigured, match=complaint) as caught:
        policies("payments")
    assert "INTEGRATIONS_RESILIENCE" in str(caught.value)


def test_the_scripts_read_of_a_limit_that_is_none_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, {"payments": {"bulkhead": {"critical": None}}})
    document = json.loads(policies("payments").document)
    assert "critical" not in document["bulkhead"]
    assert "per_second" not in document["rate"]

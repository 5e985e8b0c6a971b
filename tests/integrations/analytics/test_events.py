from __future__ import annotations

import pytest

from integrations.analytics import Params
from integrations.analytics.events import problems


def test_a_good_event_has_no_problems() -> None:
    params: Params = {"method": "form", "value": 9.5, "items": 2, "plan": "x" * 100}
    assert problems("sign_up", params, "registration:1") == []
    assert problems("e" * 40, {"p" * 40: 1, **{f"p{n}": n for n in range(24)}}, "r" * 256) == []


@pytest.mark.parametrize("name", ["user_engagement", "ga_x", "google_x", "firebase_x", "_x"])
def test_reserved_names_are_no_events(name: str) -> None:
    assert problems(name, {}, "r") == [f"the event '{name}' has a reserved name"]


@pytest.mark.parametrize("name", ["", "1st", "sign-up", "sign up", "señal", "sign_up\n"])
def test_an_events_name_is_a_word(name: str) -> None:
    assert "needs a name of a letter" in problems(name, {}, "r")[0]


def test_every_rule_that_is_broken_is_told() -> None:
    found = problems("session_start", {"firebase_conversion": 1, "a": "x" * 101}, "")
    assert found == [
        "the event 'session_start' has a reserved name",
        "the parameter 'firebase_conversion' has a reserved name",
        "the value of 'a' has 101 characters, and 100 are taken",
        "a reference of 0 characters is no user's id",
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_no_value(value: float) -> None:
    assert problems("sign_up", {"value": value}, "r") == [
        "the value of 'value' is no finite number"
    ]


def test_values_are_not_repeated() -> None:
    secret = "ann@example.com" * 10
    assert "ann" not in str(problems("sign_up", {"who": secret}, "r"))

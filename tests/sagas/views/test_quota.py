from __future__ import annotations

import logging
import time

import pytest
from pytest_django import Settings

from sagas.define.saga import Definition
from sagas.operate.access import Right
from tests.sagas.views.callers import Caller, MakeCaller

AN_HOUR = 1_000_000_000 // 60 * 60


@pytest.fixture
def two_a_minute(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.SAGAS = {"API_WRITES_PER_MINUTE": 2}
    at(monkeypatch, 45)


def at(monkeypatch: pytest.MonkeyPatch, second: float) -> None:
    real = time.time

    class Clock:
        time = staticmethod(lambda: real() // 60 * 60 + second)

    monkeypatch.setattr("sagas.views.quota.time", Clock)


@pytest.mark.usefixtures("two_a_minute")
def test_beyond_its_quota_a_user_is_told_when_to_come_back(
    saga: Definition, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("1", "2"):
        assert caller.start({}, key=key).status_code == 202
    answer = caller.start({}, key="3")
    assert (answer.status_code, answer["Retry-After"]) == (429, "15")
    assert "2 changing requests" in answer.json()["detail"]
    at(monkeypatch, 60)
    assert caller.start({}, key="3").status_code == 202


@pytest.mark.usefixtures("two_a_minute")
def test_a_quota_is_each_users_own(saga: Definition, caller_with: MakeCaller) -> None:
    first, second = caller_with(Right.START), caller_with(Right.START)
    assert [first.start({}).status_code for _ in range(3)] == [202, 202, 429]
    assert second.start({}).status_code == 202


@pytest.mark.usefixtures("two_a_minute")
def test_cancels_and_signals_count_and_looking_does_not(saga: Definition, caller: Caller) -> None:
    url = caller.start({})["Location"]
    assert all(caller.get(url).status_code == 200 for _ in range(5))
    assert caller.post("/api/signals/a/b").status_code == 202
    assert caller.post(f"{url}/cancel").status_code == 429
    assert caller.post("/api/signals/a/b").status_code == 429


@pytest.mark.usefixtures("two_a_minute")
def test_without_the_cache_nothing_is_counted_and_everything_goes_on(
    saga: Definition,
    caller: Caller,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
        }
    }
    with caplog.at_level(logging.WARNING, "sagas.api"):
        assert [caller.start({}).status_code for _ in range(3)] == [202] * 3
    assert "No quota is counted: ConnectionError" in caplog.text

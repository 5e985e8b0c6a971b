"""What one user may change through the API in a minute, with Redis away too."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from django.core.cache import cache
from django.db.models import F
from pytest_django import Settings

from sagas.define.saga import Definition
from sagas.models import Attempts
from sagas.operate.access import Right
from sagas.operate.throttle import Throttled
from sagas.views.quota import spend
from tests.sagas.stage import at_once
from tests.sagas.views.callers import Caller, MakeCaller


@pytest.fixture
def two_a_minute(settings: Settings) -> None:
    settings.SAGAS = {"API_WRITES_PER_MINUTE": 2}


@pytest.mark.usefixtures("two_a_minute")
def test_beyond_its_quota_a_user_is_told_when_to_come_back(
    saga: Definition, caller: Caller
) -> None:
    for key in ("1", "2"):
        assert caller.start({}, key=key).status_code == 202
    Attempts.objects.update(since=F("since") - timedelta(seconds=45))
    answer = caller.start({}, key="3")
    assert (answer.status_code, answer["Retry-After"]) == (429, "15")
    assert "more than 2 in a minute" in answer.json()["detail"]
    Attempts.objects.update(since=F("since") - timedelta(seconds=16))
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
def test_a_quota_holds_with_redis_away(
    saga: Definition, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("Redis is away")

    for method in ("get", "add", "incr", "set"):
        monkeypatch.setattr(cache, method, away)
    assert [caller.start({}).status_code for _ in range(3)] == [202, 202, 429]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("two_a_minute")
def test_of_many_requests_at_once_no_more_pass_than_may() -> None:
    outcomes = at_once(*[partial(spend, 7)] * 6)
    assert sum(isinstance(outcome, Throttled) for outcome in outcomes) == 4

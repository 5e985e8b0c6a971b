"""Redis's clock steps back by an hour, or forward: nobody waits for longer than without."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from django.conf import settings
from redis import Redis

from integrations.call import Call
from integrations.errors import NotAsked, OverLimit
from integrations.resilience import store
from integrations.resilience.breaker import BREAKER
from integrations.resilience.bulkhead import BULKHEAD
from integrations.resilience.gate import Gate
from integrations.resilience.rate_limit import RATE_LIMIT
from integrations.resilience.state import State, force_open, standings
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, fail, refused, set_back, well, write

HOUR = 3600.0


@contextmanager
def clock_at(offset: float) -> Iterator[None]:
    """Redis's clock shows so many seconds more than it does."""
    real = store.lua

    def shifted(name: str) -> str:
        text, count = re.subn(r"(local wall = .*?)( +--|\n)", rf"\1 + {offset}\2", real(name))
        assert count == (name == "common")
        return text

    with patch.object(store, "lua", shifted):
        yield


def gate_at(offset: float, policy: object) -> Gate:
    with clock_at(offset):
        return Gate(policy)  # type: ignore[arg-type]


def over_limit(call: Call) -> str:
    raise OverLimit(call.partner, call.operation, "answered 429", retry_after=2.0)


def opened(gate: Gate) -> None:
    fail(gate, 4)


def limited(gate: Gate) -> None:
    with pytest.raises(OverLimit):
        gate(write(), over_limit)


def crowded(gate: Gate) -> None:
    def inside(call: Call) -> str:
        refused(gate)
        return "done"

    gate(write(), inside)


CASES = pytest.mark.parametrize(
    ("policy", "before", "longest"),
    [(BREAKER, opened, 11.0), (RATE_LIMIT, limited, 2.1), (BULKHEAD, crowded, 0.0)],
    ids=["breaker", "rate limit", "bulkhead"],
)


@pytest.fixture(autouse=True)
def _strict(configure: Configure) -> Iterator[None]:
    configure(
        breaker={"minimum": 4, "cooldown": 5, "longest": 15},
        rate={"per_second": 100},
        bulkhead={"other": 1, "critical": 1},
    )
    Redis.from_url(settings.REDIS_URL).delete(store.name("clock"))
    yield
    Redis.from_url(settings.REDIS_URL).delete(store.name("clock"))


def waits(gate: Gate) -> float:
    """Seconds after which a call may come back; 0: it passes."""
    try:
        gate(write(), well)
    except NotAsked as error:
        return error.retry_after or math.inf
    return 0.0


@CASES
@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_after_a_step_of_the_clock_a_call_waits_no_longer_than_without(
    policy: object, before: Callable[[Gate], None], longest: float, step: float
) -> None:
    before(gate_at(0.0, policy))
    assert waits(gate_at(step, policy)) <= longest


def test_time_goes_on_after_a_step_back(redis: Redis) -> None:
    opened(gate_at(0.0, BREAKER))
    back = gate_at(-HOUR, BREAKER)
    assert 0 < waits(back) <= 11.0
    set_back(redis, f"breaker:{PARTNER}", "until")
    assert waits(back) == 0.0
    now = [float(redis.hget(store.name("clock"), "last") or 0)]
    for _ in range(3):
        waits(back)
        now.append(float(redis.hget(store.name("clock"), "last") or 0))
    assert now == sorted(set(now))


def test_the_clock_is_the_walls_again_once_that_has_caught_up(redis: Redis) -> None:
    for offset in (0.0, -HOUR):
        waits(gate_at(offset, BREAKER))
    assert float(redis.hget(store.name("clock"), "ahead") or 0) > HOUR - 60
    waits(gate_at(1.0, BREAKER))
    assert redis.hget(store.name("clock"), "ahead") == "0"


def test_people_see_the_walls_time_and_how_long_it_still_takes() -> None:
    ahead, now = gate_at(HOUR, BREAKER), gate_at(0.0, BREAKER)
    waits(ahead)
    fail(now, 3)
    standing = standings([PARTNER])[0]
    assert standing.state is State.OPEN
    assert standing.probe_in is not None
    assert 0 < standing.probe_in <= 6.0
    before = standing.since
    force_open(PARTNER, "by hand")
    after = standings([PARTNER])[0].since
    assert before is not None
    assert after is not None
    assert 0 <= (after - before).total_seconds() < HOUR / 2

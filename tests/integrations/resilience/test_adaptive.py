"""The limit against a simulated partner whose calls take the longer the more it is asked at once.

How long a call took is the simulation's; when the limit may move again is Redis's own time.
"""

from __future__ import annotations

import time
from functools import partial
from types import SimpleNamespace

import pytest
from redis import Redis

from integrations.call import Call
from integrations.errors import OverLimit
from integrations.resilience import gate as gate_module
from integrations.resilience import store
from integrations.resilience.adaptive import ADAPTIVE
from integrations.resilience.bulkhead import BULKHEAD
from integrations.resilience.gate import Gate
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, refused, set_back, state, well, write

KEY = f"adaptive:{PARTNER}:critical"
PLACES = f"places:{PARTNER}:critical"
SECONDS = 0.002
"""What a call takes at rest."""

gate = Gate(BULKHEAD, ADAPTIVE)


class Simulation:
    """A partner that does `capacity` calls at once; all others queue, so that each takes longer."""

    def __init__(self, redis: Redis, capacity: int) -> None:
        self.redis = redis
        self.capacity = capacity
        self.clock = 0.0
        self.longest = 0.0

    def monotonic(self) -> float:
        return self.clock

    def limit(self) -> float:
        return float(state(self.redis, KEY).get("limit", 8))

    def run(self, calls: int, operation: str = "capture", seconds: float = SECONDS) -> None:
        """So many calls in a row, with all other places taken."""
        self.longest = 0.0
        for _ in range(calls):
            others = max(0, int(self.limit()) - 1)
            self._take(others)
            took = seconds * max(1.0, (others + 1) / self.capacity)
            self.longest = max(self.longest, took)
            gate(Call.within(5, PARTNER, operation), partial(self._pass, took))

    def _take(self, places: int) -> None:
        self.redis.delete(store.name(PLACES))
        if places:
            taken = {f"other-{number}": time.time() + 60 for number in range(places)}
            self.redis.zadd(store.name(PLACES), taken)

    def _pass(self, seconds: float, call: Call) -> None:
        self.clock += seconds


@pytest.fixture
def partner(redis: Redis, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Simulation:
    adaptive = {"enabled": True, "least": 2, "most": 50, "window": 1000}
    configure(bulkhead={"critical": 8}, adaptive=adaptive)
    simulation = Simulation(redis, capacity=8)
    monkeypatch.setattr(
        gate_module, "time", SimpleNamespace(monotonic=simulation.monotonic, time=time.time)
    )
    monkeypatch.setattr(Call, "remaining", 5.0)
    return simulation


def test_the_limit_settles_where_calls_take_up_to_the_tolerance(partner: Simulation) -> None:
    partner.run(250)
    assert 8 < partner.limit() <= 2.4 * 8


def test_it_follows_a_capacity_that_halves_and_recovers(partner: Simulation) -> None:
    partner.run(150)
    before = partner.limit()
    partner.capacity = 4
    partner.run(150)
    halved = partner.limit()
    assert halved <= 2.5 * 4
    assert halved < 0.75 * before
    partner.run(50)
    assert partner.longest <= 2.8 * SECONDS
    partner.capacity = 8
    partner.run(200)
    assert partner.limit() > 1.3 * halved


def test_it_never_leaves_its_bounds(partner: Simulation, configure: Configure) -> None:
    configure(bulkhead={"critical": 8}, adaptive={"enabled": True, "least": 4, "most": 12})
    quick = SECONDS / 10
    partner.run(5, seconds=quick)
    partner.capacity = 1
    partner.run(100, seconds=quick)
    assert partner.limit() == 4
    partner.capacity = 1000
    partner.run(150, seconds=quick)
    assert partner.limit() == 12


def test_a_quick_operation_does_not_make_a_slow_one_look_overloaded(partner: Simulation) -> None:
    for _ in range(30):
        partner.run(1, "find", SECONDS / 10)
        partner.run(1, "capture", SECONDS)
    assert partner.limit() >= 8


def test_a_limit_that_is_not_used_does_not_rise(partner: Simulation) -> None:
    for _ in range(50):
        gate(write(), well)
    assert partner.limit() == 8


def test_a_partner_that_says_it_has_too_much_is_asked_less(partner: Simulation) -> None:
    def ask(call: Call) -> str:
        raise OverLimit(call.partner, call.operation, "answered 429")

    with pytest.raises(OverLimit):
        gate(write(), ask)
    assert partner.limit() == pytest.approx(7.2)


def test_once_a_window_the_limit_drops_so_that_time_at_rest_is_seen_anew(
    partner: Simulation, redis: Redis
) -> None:
    partner.run(3)
    set_back(redis, KEY, "drained_at")
    before = partner.limit()
    partner.run(1)
    assert partner.limit() == pytest.approx(before / 2)


def test_what_was_rest_long_ago_is_forgotten(partner: Simulation, redis: Redis) -> None:
    partner.run(3, seconds=SECONDS / 10)
    for _ in range(2):  # this window's shortest is the next one's rest
        set_back(redis, KEY, "from:capture")
        partner.run(1)
    assert float(state(redis, KEY)["rest:capture"]) >= SECONDS


def test_the_bulkhead_keeps_to_the_limit_that_it_found(partner: Simulation, redis: Redis) -> None:
    redis.hset(store.name(KEY), "limit", 3.9)
    partner._take(3)
    refused(gate)
    partner._take(2)
    assert gate(write(), well) == "done"


def test_it_is_off_unless_the_settings_say_so(configure: Configure, redis: Redis) -> None:
    configure()
    for _ in range(5):
        gate(write(), well)
    assert state(redis, KEY) == {}

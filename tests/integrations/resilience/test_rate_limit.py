import time
from itertools import pairwise

import pytest
from redis import Redis

from integrations.call import Call
from integrations.errors import OverLimit
from integrations.resilience.conf import policies
from integrations.resilience.gate import Gate
from integrations.resilience.rate_limit import RATE_LIMIT
from tests.integrations.resilience.children import Children
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, fail, refused, set_back, state, well, write

KEY = f"rate:{PARTNER}:"
gate = Gate(RATE_LIMIT)


def limited(retry_after: float | None = None) -> None:
    def ask(call: Call) -> str:
        raise OverLimit(call.partner, call.operation, "answered 429", retry_after)

    with pytest.raises(OverLimit):
        gate(write(), ask)


def test_a_burst_passes_and_the_next_call_waits(configure: Configure) -> None:
    configure(rate={"per_second": 0.1, "burst": 3})
    for _ in range(3):
        assert gate(write(), well) == "done"
    error = refused(gate)
    assert "the budget of its rate limit is spent" in str(error)
    assert error.retry_after == pytest.approx(10, abs=1)


def test_a_burst_is_a_seconds_worth_unless_said_otherwise(configure: Configure) -> None:
    configure(rate={"per_second": 20})
    assert policies(PARTNER).rate.burst == 20
    for _ in range(20):
        gate(write(), well)
    refused(gate)


def test_a_token_comes_back_with_time(configure: Configure, redis: Redis) -> None:
    configure(rate={"per_second": 1, "burst": 1})
    gate(write(), well)
    refused(gate)
    set_back(redis, KEY, "arrival")
    assert gate(write(), well) == "done"


def test_those_who_wait_are_given_a_moment_each(configure: Configure, redis: Redis) -> None:
    configure(rate={"per_second": 0.1, "burst": 1})
    gate(write(), well)
    assert given(redis) == pytest.approx([9] * 4)  # a little less than a token takes to come


def test_a_failed_call_cost_its_token(configure: Configure) -> None:
    configure(rate={"per_second": 1, "burst": 1})
    fail(gate)
    refused(gate)


def test_each_credential_has_its_own_budget(configure: Configure) -> None:
    configure(rate={"per_second": 1, "burst": 1})
    gate(write(credential="shop"), well)
    assert gate(write(credential="office"), well) == "done"
    refused(gate, write(credential="shop"))


def test_without_a_limit_nothing_is_kept(redis: Redis) -> None:
    for _ in range(50):
        gate(write(), well)
    assert state(redis, KEY) == {}


def test_a_429_shuts_the_budget_for_as_long_as_the_partner_says(redis: Redis) -> None:
    limited(retry_after=20)
    assert refused(gate).retry_after == pytest.approx(20, abs=5)
    set_back(redis, KEY, "shut")
    assert gate(write(), well) == "done"


def test_a_429_that_says_nothing_shuts_it_for_a_moment(configure: Configure) -> None:
    configure(rate={"pause": 7})
    limited()
    assert refused(gate).retry_after == pytest.approx(7, abs=3)


def test_an_absurd_retry_after_is_capped(configure: Configure) -> None:
    configure(rate={"longest": 30})
    limited(retry_after=3600)
    assert refused(gate).retry_after == pytest.approx(30, abs=5)


def test_a_shorter_retry_after_does_not_open_what_a_longer_one_shut() -> None:
    def first(call: Call) -> str:
        limited(retry_after=50)  # while this call is under way
        raise OverLimit(call.partner, call.operation, "answered 429", 1)

    with pytest.raises(OverLimit):
        gate(write(), first)
    assert refused(gate).retry_after == pytest.approx(50, abs=9)


def test_after_a_429_callers_of_a_partner_without_a_limit_come_back_one_by_one(
    redis: Redis,
) -> None:
    limited(retry_after=100)
    assert given(redis) == pytest.approx([0.9 / 50] * 4, rel=0.001)


def given(redis: Redis) -> list[float]:
    """What lies between the moments that five who ask in vain are told."""
    moments = []
    for _ in range(5):
        refused(gate)
        moments.append(float(state(redis, KEY)["next"]))
    return [later - earlier for earlier, later in pairwise(moments)]


def test_four_processes_together_never_exceed_the_rate(configure: Configure) -> None:
    configure(rate={"per_second": 2, "burst": 5})
    with Children(4, threads=4) as children:
        began = time.monotonic()
        passed = children.ask_for(0.5)
        elapsed = time.monotonic() - began
    assert 5 <= passed <= 5 + 2 * elapsed

import threading
import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from redis import Redis

from integrations.call import Call
from integrations.errors import NotAsked
from integrations.resilience import store
from integrations.resilience.bulkhead import BULKHEAD
from integrations.resilience.gate import LEASE_GRACE, Gate
from tests.integrations.resilience.children import Children
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import (
    PARTNER,
    down,
    fail,
    refused,
    state,
    under_way,
    well,
    write,
)

PLACES = f"places:{PARTNER}:critical"
QUEUE = f"queue:{PARTNER}:critical"
gate = Gate(BULKHEAD)


@pytest.fixture(autouse=True)
def _small(configure: Configure) -> None:
    configure(bulkhead={"critical": 2, "other": 1})


def places(redis: Redis) -> dict[str, float]:
    """When the lease of each call under way lapses."""
    found: Any = redis.zrange(store.name(PLACES), 0, -1, withscores=True)
    return dict(found)


def test_no_more_calls_than_places_are_under_way() -> None:
    with under_way(gate, write()), under_way(gate, write()):
        assert "all places of its critical pool are taken" in str(refused(gate))
    assert gate(write(), well) == "done"


def test_a_place_is_given_back_however_the_call_ends(redis: Redis) -> None:
    gate(write(), well)
    fail(gate)
    with under_way(gate, write(), then=down):
        assert len(places(redis)) == 1
    assert len(places(redis)) == 0


def test_calls_that_nobody_waits_for_take_no_critical_places() -> None:
    with under_way(gate, write(critical=False)):
        assert "its other pool" in str(refused(gate, write(critical=False)))
        assert gate(write(), well) == "done"


def test_critical_calls_leave_the_others_theirs() -> None:
    with under_way(gate, write()), under_way(gate, write()):
        assert gate(write(critical=False), well) == "done"


def test_each_partner_has_its_own_places() -> None:
    with under_way(gate, write()), under_way(gate, write()):
        assert gate(Call.within(5, "shipping", "book_courier"), well) == "done"


def test_without_a_limit_nothing_is_counted(configure: Configure, redis: Redis) -> None:
    configure(bulkhead={"critical": None})
    with under_way(gate, write()), under_way(gate, write()), under_way(gate, write()):
        assert redis.keys(store.name("*")) == [store.name("clock")]


def test_a_place_is_held_for_no_longer_than_its_call_may_take(redis: Redis) -> None:
    with under_way(gate, write(timeout=5)):
        (lapses,) = places(redis).values()
    assert lapses <= time.time() + 5 + LEASE_GRACE


def test_the_place_of_a_process_that_was_killed_lapses(redis: Redis) -> None:
    with Children(2) as children:
        children.hold_a_place()
        children.kill()
    assert len(places(redis)) == 2
    refused(gate)
    redis.zadd(store.name(PLACES), dict.fromkeys(places(redis), 1))  # their time is over
    assert gate(write(), well) == "done"


def test_those_who_found_no_place_come_back_one_by_one(redis: Redis) -> None:
    redis.hset(store.name(QUEUE), "latency", 20)  # and two places: one gets free each 10 s
    moments = []
    with under_way(gate, write()), under_way(gate, write()):
        first = refused(gate).retry_after
        for _ in range(5):
            moments.append(float(state(redis, QUEUE)["next"]))
            refused(gate)
    steps = [after - before for before, after in pairwise(moments)]
    assert first == pytest.approx(10)
    assert steps == pytest.approx([10] * 4)


def test_nobody_is_told_to_come_back_much_later_than_a_minute(redis: Redis) -> None:
    redis.hset(store.name(QUEUE), "latency", 1000)
    with under_way(gate, write()), under_way(gate, write()):
        assert all((refused(gate).retry_after or 0) <= 60.1 for _ in range(5))


def test_of_many_threads_only_as_many_as_places_are_ever_under_way() -> None:
    lock, ready = threading.Lock(), threading.Barrier(12)
    now, most, done = 0, 0, 0

    def ask(call: Call) -> None:
        nonlocal now, most, done
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1
            done += 1

    def run() -> None:
        ready.wait(30)
        for _ in range(20):
            with suppress(NotAsked):
                gate(write(), ask)

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 2
    assert done > 2


def test_of_four_processes_as_many_calls_pass_as_there_are_places(configure: Configure) -> None:
    configure(bulkhead={"critical": 3})
    with Children(4, threads=2) as children:
        assert children.ask_until_all_have(passing=3) == 3

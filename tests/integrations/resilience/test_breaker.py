import threading

import pytest
from redis import Redis

from integrations.call import Call
from integrations.errors import NotAsked, OverLimit, PartnerRefused, PartnerUnavailable
from integrations.resilience.breaker import BREAKER
from integrations.resilience.gate import Gate
from tests.integrations.resilience.children import Children
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import (
    PARTNER,
    down,
    fail,
    refused,
    set_back,
    state,
    under_way,
    well,
    write,
)

KEY = f"breaker:{PARTNER}"
gate = Gate(BREAKER)


@pytest.fixture(autouse=True)
def _quick(configure: Configure) -> None:
    configure(breaker={"minimum": 4, "cooldown": 5, "longest": 15})


def cool_down(redis: Redis) -> None:
    set_back(redis, KEY, "until")


def refuse(call: Call) -> str:
    raise PartnerRefused(call.partner, call.operation, "no")


def limit(call: Call) -> str:
    raise OverLimit(call.partner, call.operation, "answered 429")


def test_below_its_minimum_of_calls_it_concludes_nothing(redis: Redis) -> None:
    fail(gate, 3)
    assert gate(write(), well) == "done"
    assert "state" not in state(redis, KEY)


def test_it_opens_when_half_of_the_calls_failed(redis: Redis) -> None:
    for _ in range(3):
        gate(write(), well)
    fail(gate, 3)
    error = refused(gate)
    assert "circuit breaker is open" in str(error)
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 11
    assert state(redis, KEY)["why"] == "3 of 6 calls failed"


def test_fewer_failures_than_the_rate_leave_it_closed(redis: Redis) -> None:
    for _ in range(6):
        gate(write(), well)
    fail(gate, 5)
    assert gate(write(), well) == "done"


def test_it_opens_when_most_calls_are_slow(configure: Configure, redis: Redis) -> None:
    configure(breaker={"minimum": 3, "slow_seconds": 1e-9})
    for _ in range(3):
        assert gate(write(), well) == "done"
    refused(gate)
    assert state(redis, KEY)["why"] == "3 of 3 calls were slow"


@pytest.mark.parametrize("answer", [refuse, limit])
def test_a_partner_that_answers_is_well(answer: object, redis: Redis) -> None:
    for _ in range(8):
        with pytest.raises((PartnerRefused, OverLimit)):
            gate(write(), answer)  # type: ignore[arg-type]
    assert gate(write(), well) == "done"


def test_a_bug_of_ours_says_nothing_of_the_partner(redis: Redis) -> None:
    def bug(call: Call) -> str:
        raise ZeroDivisionError

    for _ in range(8):
        with pytest.raises(ZeroDivisionError):
            gate(write(), bug)
    assert state(redis, KEY) == {}


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError()])
def test_a_socket_that_fails_in_a_vendors_sdk_counts(error: OSError) -> None:
    def sdk(call: Call) -> str:
        raise error

    for _ in range(4):
        with pytest.raises(OSError):  # noqa: PT011
            gate(write(), sdk)
    refused(gate)


def test_whatever_ends_a_call_after_its_time_was_a_failure() -> None:
    def hang(call: Call) -> str:
        raise ZeroDivisionError  # such as the engine's time limit

    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            gate(write(timeout=0), hang)
    refused(gate)


def test_what_left_the_window_counts_no_more(redis: Redis) -> None:
    fail(gate, 3)
    slots = [field for field in state(redis, KEY) if field.endswith(":number")]
    set_back(redis, KEY, *slots)  # as if they were long ago
    fail(gate, 3)
    assert gate(write(), well) == "done"


def test_an_answered_probe_closes_it_with_an_empty_window(redis: Redis) -> None:
    fail(gate, 4)
    cool_down(redis)
    assert gate(write(), well) == "done"
    assert state(redis, KEY)["state"] == "closed"
    fail(gate, 3)
    assert gate(write(), well) == "done"


def test_a_failed_probe_opens_it_for_twice_as_long_up_to_the_longest(redis: Redis) -> None:
    fail(gate, 4)
    spans = []
    for _ in range(4):
        found = state(redis, KEY)
        spans.append(float(found["until"]) - float(found["since"]))
        cool_down(redis)
        fail(gate)
    for span, least in zip(spans, [5, 10, 15, 15], strict=True):
        assert least <= span <= least * 1.2
    assert state(redis, KEY)["why"] == "the probe failed"


def test_a_slow_probe_is_no_recovery(configure: Configure, redis: Redis) -> None:
    fail(gate, 4)
    cool_down(redis)
    configure(breaker={"minimum": 4, "slow_seconds": 1e-9})
    assert gate(write(), well) == "done"
    refused(gate)


def test_while_a_probe_is_under_way_nobody_else_asks(redis: Redis) -> None:
    fail(gate, 4)
    cool_down(redis)
    with under_way(gate, write()):
        assert refused(gate).retry_after is not None
    assert gate(write(), well) == "done"


def test_a_prober_that_died_blocks_nobody(redis: Redis) -> None:
    fail(gate, 4)
    cool_down(redis)
    with under_way(gate, write(), then=down):
        set_back(redis, KEY, "probe_until")  # its lease lapsed
        assert gate(write(), well) == "done"
        assert state(redis, KEY)["state"] == "closed"
    # And when it comes back to life, its failure is that of an older generation.
    assert state(redis, KEY)["state"] == "closed"


def test_a_probe_that_said_nothing_gives_its_lease_back(redis: Redis) -> None:
    def bug(call: Call) -> str:
        raise ZeroDivisionError

    fail(gate, 4)
    cool_down(redis)
    with pytest.raises(ZeroDivisionError):
        gate(write(), bug)
    assert state(redis, KEY)["state"] == "open"
    assert gate(write(), well) == "done"


def test_a_late_success_changes_nothing(redis: Redis) -> None:
    with under_way(gate, write()):
        fail(gate, 4)
        before = state(redis, KEY)
    assert state(redis, KEY) == before


def test_late_failures_of_an_older_generation_do_not_open_it_again(redis: Redis) -> None:
    with (
        under_way(gate, write(), then=down),
        under_way(gate, write(), then=down),
        under_way(gate, write(), then=down),
        under_way(gate, write(), then=down),
    ):
        fail(gate, 4)
        cool_down(redis)
        gate(write(), well)
        before = state(redis, KEY)
    assert state(redis, KEY) == before


def test_each_change_begins_a_new_generation(redis: Redis) -> None:
    seen = []
    fail(gate, 4)
    seen.append(state(redis, KEY)["generation"])
    cool_down(redis)
    fail(gate)
    seen.append(state(redis, KEY)["generation"])
    cool_down(redis)
    gate(write(), well)
    seen.append(state(redis, KEY)["generation"])
    assert seen == ["1", "2", "3"]


def test_each_partner_has_its_own(redis: Redis) -> None:
    fail(gate, 4)
    other = Call.within(5, "shipping", "book_courier")
    assert gate(other, well) == "done"


def test_of_sixteen_threads_one_probes(redis: Redis) -> None:
    fail(gate, 4)
    cool_down(redis)
    ready, tried = threading.Barrier(16), threading.Barrier(16)
    asked, denied = [], []

    def ask(call: Call) -> str:
        asked.append(call)
        tried.wait(30)
        return "done"

    def run() -> None:
        ready.wait(30)
        try:
            gate(write(30), ask)
        except NotAsked as error:
            denied.append(error)
            tried.wait(30)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(asked), len(denied)) == (1, 15)


def test_of_four_processes_with_four_threads_each_one_thread_probes(redis: Redis) -> None:
    fail(gate, 4)
    cool_down(redis)
    with Children(4, threads=4) as children:
        passed = children.ask_until_all_have()
    assert passed == 1
    assert state(redis, KEY)["state"] == "closed"


def test_a_partner_that_failed_is_among_the_troubled(redis: Redis) -> None:
    from integrations.resilience import store

    fail(gate, 3)
    assert redis.smembers(store.name("troubled")) == set()
    fail(gate)
    assert redis.smembers(store.name("troubled")) == {PARTNER}


def test_a_refusal_is_a_kind_of_being_unavailable() -> None:
    fail(gate, 4)
    with pytest.raises(PartnerUnavailable):
        gate(write(), well)

from datetime import UTC, datetime

import pytest
from redis import Redis

from integrations.resilience import state, store
from integrations.resilience.breaker import BREAKER
from integrations.resilience.gate import Gate
from integrations.resilience.state import Standing, State
from tests.integrations.resilience import rig
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import (
    PARTNER,
    fail,
    refused,
    set_back,
    under_way,
    well,
    write,
)

KEY = f"breaker:{PARTNER}"
gate = Gate(BREAKER)


@pytest.fixture(autouse=True)
def _quick(configure: Configure) -> None:
    configure(breaker={"minimum": 4})


def standing() -> Standing:
    (found,) = state.standings([PARTNER])
    return found


def test_a_partner_that_was_never_asked_is_closed() -> None:
    assert standing() == Standing(PARTNER)
    assert state.standings([]) == []


def test_what_a_closed_breaker_counted_is_told() -> None:
    for _ in range(3):
        gate(write(), well)
    fail(gate)
    found = standing()
    assert (found.state, found.calls, found.failed, found.slow) == (State.CLOSED, 4, 1, 0)
    assert found.failure_rate == 0.25


def test_what_left_the_window_is_told_no_more(redis: Redis) -> None:
    gate(write(), well)
    fields = rig.state(redis, KEY)
    set_back(redis, KEY, *(field for field in fields if field.endswith(":number")))
    assert standing().calls == 0


def test_an_open_one_says_why_since_when_and_when_it_is_probed(redis: Redis) -> None:
    fail(gate, 4)
    found = standing()
    assert (found.state, found.generation, found.why) == (State.OPEN, 1, "4 of 4 calls failed")
    assert found.since is not None
    assert abs((datetime.now(UTC) - found.since).total_seconds()) < 60
    assert found.probe_in is not None
    assert 0 < found.probe_in <= 6
    set_back(redis, KEY, "until")
    found = standing()
    assert (found.state, found.probe_in) == (State.HALF_OPEN, 0)


def test_a_breaker_forced_open_stays_so_until_it_is_closed(redis: Redis) -> None:
    state.force_open(PARTNER, "maintenance")
    assert (standing().state, standing().why) == (State.FORCED, "maintenance")
    refused(gate)
    assert redis.ttl(store.name(KEY)) == -1  # it is not forgotten
    state.force_closed(PARTNER, "done")
    assert gate(write(), well) == "done"


def test_forcing_begins_a_generation_so_that_older_results_change_nothing() -> None:
    with under_way(gate, write()):
        fail(gate, 4)
        state.force_closed(PARTNER, "it is well")
        before = standing()
    assert standing() == before
    assert (before.state, before.generation, before.calls) == (State.CLOSED, 2, 0)


def test_a_breaker_that_has_moved_on_is_not_closed() -> None:
    fail(gate, 4)
    state.force_closed(PARTNER, "an old opinion", generation=0)
    assert standing().state is State.OPEN
    state.force_closed(PARTNER, "a new one", generation=1)
    assert standing().state is State.CLOSED


def test_the_troubled_stay_so_until_their_breaker_is_closed_and_settled() -> None:
    assert state.troubled() == frozenset()
    fail(gate, 4)
    assert state.troubled() == {PARTNER}
    state.settle(PARTNER)  # by one who has read before it opened
    assert state.troubled() == {PARTNER}
    state.force_closed(PARTNER, "it is well")
    assert state.troubled() == {PARTNER}
    state.settle(PARTNER)
    assert state.troubled() == frozenset()

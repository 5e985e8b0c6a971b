from typing import Any

import pytest
from redis import Redis

from integrations.resilience import health, state, store
from integrations.resilience.breaker import BREAKER
from integrations.resilience.gate import Gate
from sagas.signals import Health, PartnerHealth, partner_health
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, fail, set_back, well, write

gate = Gate(BREAKER)


@pytest.fixture(autouse=True)
def _quick(configure: Configure) -> None:
    configure(breaker={"minimum": 4})


def told() -> PartnerHealth:
    (found,) = [each for each in health.tell() if each.name == PARTNER]
    return found


def test_the_overview_asks_it() -> None:
    gate(write(), well)
    answers: list[Any] = [
        answer for tell, answer in partner_health.send(sender=None) if tell is health.tell
    ]
    assert answers == [[told()]]


def test_of_a_partner_that_was_not_called_there_is_nothing_to_tell() -> None:
    assert health.tell() == []


def test_a_closed_breaker_is_well_or_worrying() -> None:
    for _ in range(3):
        gate(write(), well)
    assert told() == PartnerHealth(
        PARTNER,
        Health.OK,
        "circuit breaker: closed, 0 of 3 calls failed, 0 slow",
    )
    fail(gate)
    assert told().state is Health.DEGRADED


def test_one_failure_among_a_few_calls_is_no_worry() -> None:
    fail(gate)
    assert told().state is Health.OK
    fail(gate)
    assert told().state is Health.DEGRADED


def test_an_open_one_is_down_and_says_when_a_probe_goes(redis: Redis) -> None:
    fail(gate, 4)
    found = told()
    assert found.state is Health.DOWN
    assert "open, 4 of 4 calls failed, probe in " in found.detail
    set_back(redis, f"breaker:{PARTNER}", "until")
    assert told().detail.endswith("4 of 4 calls failed, the next call is a probe")


def test_a_forced_one_says_who_forced_it() -> None:
    state.force_open(PARTNER, "shell:ann: maintenance")
    assert told().detail == "circuit breaker: forced open, shell:ann: maintenance"


def test_without_redis_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: store.Shared, ask: object) -> None:
        raise store.Away

    monkeypatch.setattr(store.Shared, "do", away)
    assert told().state is Health.UNKNOWN


def test_an_open_breaker_tells_since_when_and_when_the_next_probe_is() -> None:
    for _ in range(4):
        fail(gate)
    down = told()
    (standing,) = state.standings([PARTNER])
    assert (down.state, down.since) == (Health.DOWN, standing.since)
    assert standing.probe_in is not None
    assert down.probe_at is not None
    assert down.since is not None
    assert down.probe_at > down.since
    assert told() == down  # the same time at each look

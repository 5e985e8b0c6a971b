"""The connectors' calls pass the policies, whichever client or SDK makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from integrations.errors import NotAsked, PartnerUnavailable
from integrations.resilience import state, store
from integrations.resilience.state import State
from integrations.sandbox.process import RunningSandbox
from tests.integrations.conformance.rig import CONNECTS
from tests.integrations.egress.resolver import Resolver
from tests.integrations.resilience.conftest import Configure

WRITES: dict[str, Callable[[Any, str], Any]] = {
    "payments": lambda client, key: client.authorize(
        1000, "eur", "pm_card_visa", key, key=key, timeout=5.0
    ),
    "inventory": lambda client, key: client.reserve("mug", 1, key, key=key, timeout=5.0),
    "shipping": lambda client, key: client.book_courier("1 Main St", key, key=key, timeout=5.0),
    "notifications": lambda client, key: client.send(
        "ann@example.com", "Hello", "Ann", key, key=key.replace(":", "-"), timeout=5.0
    ),
}


@pytest.mark.parametrize("partner", WRITES)
def test_an_open_breaker_turns_each_connector_away(
    partner: str, sandbox: RunningSandbox, reference: str
) -> None:
    client = CONNECTS[partner]()
    state.force_open(partner, "to see")
    with pytest.raises(NotAsked, match="circuit breaker is open") as caught:
        WRITES[partner](client, reference)
    assert caught.value.retry_after
    assert sandbox.ledger.effects(reference) == []
    state.force_closed(partner, "seen")
    WRITES[partner](client, reference)
    assert len(sandbox.ledger.effects(reference)) == 1


@pytest.mark.parametrize("partner", WRITES)
def test_a_silent_name_server_leaves_each_connectors_calls_unsent_and_opens_its_breaker(
    partner: str,
    sandbox: RunningSandbox,
    reference: str,
    resolver: Resolver,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(timeouts={"connect": 0.05}, retry={"tries": 1}, breaker={"minimum": 2})
    resolver.silent.add("partner.example")
    for name, value in sandbox.environment().items():
        named = value.replace("http://127.0.0.1", "https://partner.example")
        monkeypatch.setenv(name, "partner.example" if value == "127.0.0.1" else named)
    client = CONNECTS[partner]()
    for _ in range(2):
        with pytest.raises(PartnerUnavailable, match="the name server does not answer"):
            WRITES[partner](client, reference)
    (standing,) = state.standings([partner])
    assert standing.state is State.OPEN
    assert sandbox.ledger.effects(reference) == []


@pytest.mark.parametrize(
    ("partner", "pool"),
    [
        ("payments", "critical"),
        ("inventory", "critical"),
        ("shipping", "critical"),
        ("notifications", "other"),
    ],
)
def test_mail_takes_no_place_of_what_a_customer_waits_for(
    partner: str, pool: str, sandbox: RunningSandbox, reference: str, redis: Redis
) -> None:
    WRITES[partner](CONNECTS[partner](), reference)
    assert list(redis.scan_iter(store.name("queue:*"))) == [store.name(f"queue:{partner}:{pool}")]


@pytest.mark.parametrize("partner", ["payments", "inventory", "shipping"])
def test_a_lost_answer_to_a_keyed_write_is_found_by_the_second_try(
    partner: str, sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.add_fault("drop-after", service=partner, times=1, reference=reference)
    WRITES[partner](CONNECTS[partner](), reference)
    assert len(sandbox.ledger.effects(reference)) == 1


def test_a_mail_whose_answer_was_lost_is_not_sent_again(
    sandbox: RunningSandbox, reference: str
) -> None:
    sandbox.add_fault("drop-after", service="messages", times=1)
    with pytest.raises(Exception, match="no valid answer"):
        WRITES["notifications"](CONNECTS["notifications"](), reference)
    assert len(sandbox.ledger.effects(reference)) == 1

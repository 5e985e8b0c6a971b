from dataclasses import dataclass

import pytest
from redis import Redis
from redis.connection import Connection

from integrations.call import Call
from integrations.errors import NotAsked, PartnerError, PartnerUnavailable, PartnerUnknown
from integrations.resilience import guarded, store
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import PARTNER, down, read, set_back, state, well, write

BREAKER = f"breaker:{PARTNER}"
PLACES = f"places:{PARTNER}:critical"
RATE = f"rate:{PARTNER}:"


@dataclass
class Reply:
    status: int


def judge(reply: Reply) -> PartnerError | None:
    if reply.status < 500:
        return None
    return PartnerUnknown(PARTNER, "capture", f"answered {reply.status}")


def fail(times: int) -> None:
    for _ in range(times):
        with pytest.raises(PartnerUnavailable):
            guarded(write(), down)


def refused() -> NotAsked:
    with pytest.raises(NotAsked) as caught:
        guarded(write(), well)
    return caught.value


def test_a_vendors_sdk_is_guarded_as_any_callable_is(configure: Configure) -> None:
    class Sdk:
        def charge(self, amount: int, timeout: float) -> str:
            raise ConnectionResetError

    configure(breaker={"minimum": 2})
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            guarded(write(), lambda call: Sdk().charge(100, timeout=call.remaining))
    refused()


def test_an_open_breaker_takes_no_place_and_no_token(configure: Configure, redis: Redis) -> None:
    configure(breaker={"minimum": 2}, rate={"per_second": 1, "burst": 5})
    fail(2)
    before = state(redis, RATE)
    refused()
    assert state(redis, RATE) == before
    assert redis.zcard(store.name(PLACES)) == 0


def test_where_no_place_is_free_no_token_is_spent(configure: Configure, redis: Redis) -> None:
    configure(bulkhead={"critical": 1}, rate={"per_second": 1, "burst": 5})

    def ask(call: Call) -> str:
        before = state(redis, RATE)
        assert "places" in str(refused())
        assert state(redis, RATE) == before
        return "done"

    assert guarded(write(), ask) == "done"


def test_where_no_token_is_left_no_place_is_taken(configure: Configure, redis: Redis) -> None:
    configure(rate={"per_second": 1, "burst": 1})
    guarded(write(), well)
    refused()
    assert redis.zcard(store.name(PLACES)) == 0


def test_a_probe_that_another_policy_stops_leaves_the_probing_to_others(
    configure: Configure, redis: Redis
) -> None:
    configure(breaker={"minimum": 2}, rate={"per_second": 1, "burst": 2})
    fail(2)
    set_back(redis, BREAKER, "until")
    assert "rate limit" in str(refused())
    set_back(redis, RATE, "arrival")
    assert guarded(write(), well) == "done"
    assert state(redis, BREAKER)["state"] == "closed"


def test_each_try_counts_for_the_breaker(configure: Configure) -> None:
    configure(breaker={"minimum": 4}, retry={"base": 0.001})
    for _ in range(2):
        with pytest.raises(PartnerUnavailable, match="is down"):
            guarded(read(), down)
    refused()


def test_there_is_no_second_try_once_the_breaker_opened(configure: Configure) -> None:
    configure(breaker={"minimum": 3}, retry={"base": 0.001})
    asked = []

    def ask(call: Call) -> str:
        asked.append(call)
        return down(call)

    for _ in range(2):
        with pytest.raises(PartnerUnavailable, match="is down"):
            guarded(read(), ask)
    assert len(asked) == 3


def test_an_answer_that_amounts_to_a_failure_counts_and_is_returned(configure: Configure) -> None:
    configure(breaker={"minimum": 2})
    for _ in range(2):
        assert guarded(write(), lambda call: Reply(502), judge=judge).status == 502
    refused()


def test_a_better_second_answer_is_the_one_that_is_returned(configure: Configure) -> None:
    configure(retry={"base": 0.001})
    replies = [Reply(502), Reply(200)]
    assert guarded(read(), lambda call: replies.pop(0), judge=judge).status == 200


def test_a_call_costs_two_round_trips_to_redis(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(rate={"per_second": 1000}, adaptive={"enabled": True})
    guarded(write(), well)  # connects, and sends the scripts
    sent = []
    send = Connection.send_packed_command

    def counted(self: Connection, *args: object, **kwargs: object) -> object:
        sent.append(args)
        return send(self, *args, **kwargs)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Connection, "send_packed_command", counted)
    guarded(write(), well)
    assert len(sent) == 2

"""Calls, partners that do as told, and the state of the policies, of which a test is the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from integrations.call import Call
from integrations.errors import NotAsked, PartnerUnavailable
from integrations.resilience import store
from integrations.resilience.gate import Gate
from integrations.resilience.policy import Ask

PARTNER = "payments"


def write(timeout: float = 5.0, **about: Any) -> Call:
    return Call.within(timeout, PARTNER, "capture", **about)


def read(timeout: float = 5.0, **about: Any) -> Call:
    return Call.within(timeout, PARTNER, "find", writes=False, **about)


def well(call: Call) -> str:
    """A partner that answers."""
    return "done"


def down(call: Call) -> str:
    """A partner that does not."""
    raise PartnerUnavailable(call.partner, call.operation, "is down")


def fail(gate: Gate, times: int = 1) -> None:
    """Let so many calls pass that get no answer."""
    for _ in range(times):
        with pytest.raises(PartnerUnavailable, match="is down"):
            gate(write(), down)


def refused(gate: Gate, call: Call | None = None) -> NotAsked:
    """The refusal of a call that must not pass."""
    with pytest.raises(NotAsked) as caught:
        gate(call or write(), _never)
    return caught.value


def _never(call: Call) -> str:
    raise AssertionError("the partner was asked")


@contextmanager
def under_way(gate: Gate, call: Call, then: Ask[str] = well) -> Iterator[None]:
    """A call that is at the partner for the length of the block, and then ends as `then` does."""
    begun, over = threading.Event(), threading.Event()

    def ask(call: Call) -> str:
        begun.set()
        assert over.wait(30)
        return then(call)

    def run() -> None:
        try:
            gate(call, ask)
        except PartnerUnavailable:
            begun.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(30)
        yield
    finally:
        over.set()
        thread.join(30)
        assert not thread.is_alive()


def state(redis: Redis, key: str) -> dict[str, str]:
    """A hash of the policies."""
    return {str(name): str(value) for name, value in redis.hgetall(store.name(key)).items()}


def set_back(redis: Redis, key: str, *fields: str) -> None:
    """Let moments that a policy waits for be over."""
    redis.hset(store.name(key), mapping=dict.fromkeys(fields, 0))

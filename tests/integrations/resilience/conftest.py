"""The policies as they come, with no state: each test says what differs."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from redis import Redis

from integrations.resilience import store

Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def configure(_fresh_policies: None, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets policies of every partner: `configure(breaker={"minimum": 2})`."""

    def set_(**every: dict[str, Any]) -> None:
        monkeypatch.setenv("INTEGRATIONS_RESILIENCE", json.dumps({"*": every}))

    set_()
    return set_


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Redis that a busy machine makes slow is not taken for one that is away."""
    monkeypatch.setattr(store, "PATIENCE", 10.0)
    store.forget()
    yield
    store.forget()


@pytest.fixture
def redis() -> Redis:
    """The Redis that the policies use."""
    store.shared()
    client: Redis = Redis.from_url(django_settings.REDIS_URL, decode_responses=True)
    return client

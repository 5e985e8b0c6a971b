"""Nothing that somebody writes to the cache's server is run by who reads it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache, caches
from redis import Redis

from sagas.cache import JSONSerializer


@pytest.fixture
def key() -> Iterator[str]:
    """A key of the test's own in the project's cache."""
    mine = f"test:{uuid4().hex}"
    yield mine
    cache.delete(mine)


@pytest.fixture
def server() -> Redis:
    """What the project's cache writes to, for somebody who has come that far."""
    client: Redis = caches["default"]._cache.get_client(write=True)  # type: ignore[attr-defined]
    return client


ran: list[str] = []


class Bomb:
    """Goes off in whatever process unpickles it."""

    def __reduce__(self) -> Any:
        return go_off, ("here",)


def go_off(where: str) -> None:
    ran.append(where)


def test_what_somebody_else_wrote_to_redis_is_not_run(key: str, server: Redis) -> None:
    server.set(cache.make_key(key), pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="decode"):
        cache.get(key)
    assert ran == []


@pytest.mark.parametrize("value", [0, -7, 1.5, True, None, "7", "", [1, "a"], {"a": {"b": [None]}}])
def test_plain_data_comes_back_as_it_was_kept(key: str, value: Any) -> None:
    cache.set(key, value, 60)
    back = cache.get(key, "nothing")
    assert (type(back), back) == (type(value), value)


def test_numbers_can_be_counted_up(key: str) -> None:
    assert cache.add(key, 0, 60)
    assert [cache.incr(key), cache.incr(key, 5), cache.get(key)] == [1, 6, 6]


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError):
        JSONSerializer().dumps(object())

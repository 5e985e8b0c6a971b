from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache

from sagas.define.saga import Definition
from sagas.operate import waiting
from sagas.operate.standing import standing
from sagas.operate.waiting import Queue, queues
from sagas.run.queues import routed_queues
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    cache.delete("sagas:depths")
    yield
    cache.delete("sagas:depths")


def seen() -> dict[str, Queue]:
    return {queue.name: queue for queue in queues(standing(None))}


def test_each_queue_tells_what_waits_and_since_when(
    known: Callable[[Definition], Definition],
) -> None:
    known(flow([simple("a", queue="slow")]))
    oldest = ago(minutes=9)
    for number, due in enumerate((oldest, ago(minutes=1))):
        run = a_run(str(number), wake_at=ago(seconds=1))
        a_step(run, due_at=due)
        a_step(run, "waiting", name="b", due_at=due)
    found = seen()
    assert set(found) == {*routed_queues(), "slow"}
    assert (found["slow"].due, found["slow"].oldest) == (2, oldest)
    assert all(found[name].oldest is None for name in routed_queues())


def test_the_broker_is_asked_for_its_messages_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []

    def depths(names: list[str]) -> dict[str, int]:
        asked.append(names)
        return dict.fromkeys(names, 7)

    monkeypatch.setattr(waiting, "depths", depths)
    for _ in range(3):
        assert {queue.messages for queue in seen().values()} == {7}
    assert len(asked) == 1


def test_a_broker_that_is_away_makes_its_messages_unknown_and_is_not_asked_at_once_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(waiting, "depths", lambda names: asked.append(names))
    for _ in range(2):
        assert {queue.messages for queue in seen().values()} == {None}
    assert len(asked) == 1


def test_a_cache_that_is_away_breaks_nothing() -> None:
    with patch.object(waiting, "cache") as away:
        away.get.side_effect = ConnectionError
        assert {queue.messages for queue in seen().values()} == {None}


def test_the_real_broker_knows_the_queues() -> None:
    assert {queue.messages for queue in seen().values()} == {0}

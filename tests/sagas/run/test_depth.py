"""How many messages wait, asked of the real broker."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import patch
from uuid import uuid4

import pytest
from celery import current_app
from kombu import Connection

from sagas.run.depth import depths


@pytest.fixture
def queue() -> Iterator[str]:
    name = f"depth-{uuid4().hex}"
    yield name
    with current_app.connection_for_write() as connection:
        connection.SimpleQueue(name).clear()


def test_each_queue_is_counted(queue: str) -> None:
    with current_app.connection_for_write() as connection:
        simple = connection.SimpleQueue(queue)
        for number in range(3):
            simple.put(number)
    assert depths([queue, "empty"]) == {queue: 3, "empty": 0}


def test_a_queue_that_nobody_made_is_empty() -> None:
    unknown = f"unknown-{uuid4().hex}"
    assert depths([unknown]) == {unknown: 0}
    assert depths([]) == {}


def test_a_broker_that_is_away_says_nothing() -> None:
    away = Connection("redis://127.0.0.1:1/0", transport_options={"socket_connect_timeout": 0.2})
    with patch("sagas.run.depth.current_app", SimpleNamespace(pool=away.Pool(1))):
        assert depths(["sagas"]) is None

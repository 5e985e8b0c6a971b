"""A story of workers whose Redis is found through Sentinels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import current_app

from sagas.checks import check_broker
from sagas.states import RunStatus
from tests.project.private_sentinel import MASTER, Sentinel, private_sentinel
from tests.stories.conftest import QUICK
from tests.stories.test_brokers import begin
from tests.stories.waiting import at_rest
from tests.stories.worker_process import worker_process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sentinel(tmp_path: Path) -> Iterator[Sentinel]:
    with private_sentinel(tmp_path / "redis") as sentinel:
        yield sentinel


def test_a_worker_goes_on_with_the_master_that_sentinel_names_after_a_failover(
    sentinel: Sentinel, process_environment: dict[str, str], tmp_path: Path
) -> None:
    environment = process_environment | {
        "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
        "SAGAS": json.dumps(QUICK),
        "BROKER_URL": sentinel.url,
        "BROKER_MASTER_NAME": MASTER,
    }
    options = ("--concurrency=1", "--queues=sagas,payments", "--without-mingle")
    with worker_process(environment, tmp_path / "log", *options) as worker:
        assert at_rest(begin("hopping", tmp_path, "before"), 90).status == RunStatus.SUCCEEDED
        sentinel.kill_master()
        assert at_rest(begin("hopping", tmp_path, "after"), 90).status == RunStatus.SUCCEEDED
        assert worker.lives()
        assert "does not say how long" not in worker.log()  # the sweep asks for the queues' length


@pytest.fixture
def asked(sentinel: Sentinel) -> Iterator[Sentinel]:
    """The Sentinel as this process' broker."""
    named = {"broker_url": sentinel.url, "broker_transport_options": {"master_name": MASTER}}
    before = {name: current_app.conf[name] for name in named}
    current_app.conf.update(named)
    yield sentinel
    current_app.conf.update(before)


def test_the_check_asks_the_master_that_sentinel_names(asked: Sentinel) -> None:
    assert check_broker() == []
    asked.set_policy("allkeys-lru")
    assert [message.id for message in check_broker()] == ["sagas.W107"]

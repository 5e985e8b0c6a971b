"""Stories of a process whose broker stops taking messages: one waits, the others need not."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sagas.models import Run
from sagas.run.publishing import OPEN_SECONDS
from tests.project.private_rabbitmq import private_rabbitmq
from tests.project.private_redis import private_redis
from tests.project.processes import ROOT, script

pytestmark = pytest.mark.django_db(transaction=True)

#: A web process: starts a run for each line that it reads, and says what that cost.
STARTER = """
import json, sys, time
import django
django.setup()
from celery import signals
from project.celery import app, publish_briefly
publish_briefly(app)
from sagas.api import start
from tests.stories.work.sagas import hopping
tries = []
signals.before_task_publish.connect(lambda **_: tries.append(1), weak=False)
for line in sys.stdin:
    tries.clear()
    began = time.monotonic()
    start(hopping, {"folder": "nowhere"}, key=line.strip())
    print(json.dumps([len(tries), time.monotonic() - began]), flush=True)
"""


class Starter:
    """Starts runs in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, key: str) -> tuple[int, float]:
        """How many messages it tried to publish, and how many seconds the start took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(key, file=self._process.stdin, flush=True)
        tries, seconds = json.loads(self._process.stdout.readline())
        return tries, seconds


@contextmanager
def starter(environment: dict[str, str], broker: str) -> Iterator[Starter]:
    """A process that publishes to that broker."""
    named = {"DJANGO_SETTINGS_MODULE": "tests.stories.settings", "BROKER_URL": broker}
    with subprocess.Popen(
        script(STARTER),
        cwd=ROOT,
        env=environment | named,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Starter(process)
        finally:
            process.kill()


def test_starts_while_rabbitmq_blocks_publishers_wait_once(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        private_rabbitmq(tmp_path / "rabbitmq") as broker,
        starter(process_environment, broker.url) as process,
    ):
        wait_once(process, broker.block_publishers, broker.unblock_publishers)


def test_starts_while_redis_is_frozen_wait_once(
    process_environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        private_redis(tmp_path / "redis") as broker,
        starter(process_environment, broker.url()) as process,
    ):
        wait_once(process, broker.freeze, broker.thaw)


def wait_once(process: Starter, block: object, unblock: object) -> None:
    """Start runs before, during and after a time in which the broker takes nothing."""
    assert callable(block)
    assert callable(unblock)
    assert process.start("before")[0] == 1
    block()
    tries, seconds = process.start("first")
    assert tries == 1
    assert seconds < 10  # docs/brokers.md says 5 to 6; without a timeout it would be for ever
    failed = time.monotonic()
    tries = sum(process.start(f"skipped-{number}")[0] for number in range(5))
    assert tries <= (time.monotonic() - failed) // OPEN_SECONDS  # none but probes
    unblock()
    time.sleep(max(0.0, failed + OPEN_SECONDS - time.monotonic()))
    assert process.start("probe")[0] == 1
    assert process.start("after")[0] == 1
    assert Run.objects.count() == 9  # each start was accepted

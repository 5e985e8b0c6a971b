"""Stories of brokers that are away, drop their connections, or are no brokers to rely on.

``BROKER_DOWN_SECONDS=60 BROKER_STARTS=50 pytest -s tests/stories/test_brokers.py -k web`` is the
long form of the one about starts.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import UUID

import psutil
import pytest
from django.contrib.auth.models import Permission, User
from django.test import override_settings

from project.world import World
from sagas.api import start
from sagas.models import Step
from sagas.operate import token
from sagas.states import RunStatus, StepStatus
from sagas.testing.ledger import Ledger
from tests.project.private_redis import PrivateRedis, private_redis
from tests.project.rabbitmq import VirtualHost, virtual_host
from tests.stories.conftest import QUICK
from tests.stories.waiting import at_rest, until
from tests.stories.worker_process import worker_process

pytestmark = pytest.mark.django_db(transaction=True)

DOWN_SECONDS = float(os.environ.get("BROKER_DOWN_SECONDS", "6"))
STARTS = int(os.environ.get("BROKER_STARTS", "10"))
ANSWERED_WITHIN = 8.0  # seconds; docs/brokers.md says what they are made of
ONE_WORKER = {"steps": ["sagas"]}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[PrivateRedis]:
    with private_redis(tmp_path / "broker") as server:
        yield server


@pytest.fixture
def environment(process_environment: dict[str, str]) -> dict[str, str]:
    """The environment of the stories' processes, but for their broker."""
    return {
        **process_environment,
        "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
        "SAGAS": json.dumps({**QUICK, "API_WRITES_PER_MINUTE": 100_000}),
    }


@pytest.fixture
def world_on_redis(
    environment: dict[str, str], broker: PrivateRedis, tmp_path: Path
) -> Iterator[World]:
    """A world whose one Redis, broker and cache, is the test's own."""
    addresses = {"BROKER_URL": broker.url(0), "REDIS_URL": broker.url(1)}
    with World(tmp_path, environment | addresses) as world:
        yield world


@pytest.fixture
def rabbit() -> Iterator[VirtualHost]:
    with virtual_host() as host:
        yield host


@pytest.fixture
def world_on_rabbitmq(
    environment: dict[str, str], rabbit: VirtualHost, tmp_path: Path
) -> Iterator[World]:
    with World(tmp_path, environment | {"BROKER_URL": rabbit.url()}) as world:
        yield world


# --- a worker and its connections ----------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2])
def test_a_worker_outlives_the_loss_of_redis_while_it_holds_a_message(
    world_on_redis: World, broker: PrivateRedis, tmp_path: Path, slots: int
) -> None:
    """Workers of Celery 5.7.0 exit here, mostly those with a process to spare."""
    world_on_redis.workers(ONE_WORKER, processes=slots)
    held = begin("gated", tmp_path)
    until(lambda: in_flight(held, "blocking"))
    worker = main_process(world_on_redis)
    broker.kill()
    time.sleep(2)
    broker.start()
    until(lambda: bool(connections(worker, broker)))
    (tmp_path / "gate").touch()
    assert at_rest(held).status == RunStatus.SUCCEEDED
    assert at_rest(begin("gated", tmp_path, key="further")).status == RunStatus.SUCCEEDED
    assert main_process(world_on_redis) == worker


def test_a_worker_outlives_dropped_connections_to_redis_while_it_holds_a_message(
    world_on_redis: World, broker: PrivateRedis, tmp_path: Path
) -> None:
    world_on_redis.workers(ONE_WORKER, processes=2)
    held = begin("gated", tmp_path)
    until(lambda: in_flight(held, "blocking"))
    worker = main_process(world_on_redis)
    before = connections(worker, broker)
    with broker.client() as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    until(lambda: bool(connections(worker, broker) - before))
    (tmp_path / "gate").touch()
    assert at_rest(held).status == RunStatus.SUCCEEDED
    assert at_rest(begin("gated", tmp_path, key="further")).status == RunStatus.SUCCEEDED
    assert main_process(world_on_redis) == worker


def test_a_run_crosses_queues_and_a_lost_connection_on_rabbitmq(
    world_on_rabbitmq: World, rabbit: VirtualHost, tmp_path: Path
) -> None:
    world_on_rabbitmq.workers(processes=1)
    assert at_rest(begin("hopping", tmp_path)).status == RunStatus.SUCCEEDED
    held = begin("gated", tmp_path)
    until(lambda: in_flight(held, "blocking"))
    worker = main_process(world_on_rabbitmq)
    time.sleep(6)  # longer than its reads may take: they must not count while nothing is due
    assert worker.is_running()
    rabbit.close_connections()
    (tmp_path / "gate").touch()
    assert at_rest(held).status == RunStatus.SUCCEEDED
    further = begin("hopping", tmp_path, key="further")
    assert at_rest(further).status == RunStatus.SUCCEEDED
    assert main_process(world_on_rabbitmq) == worker
    called = Counter((c.step, c.key) for c in Ledger(tmp_path / "ledger").effects())
    assert set(called.values()) == {1}
    assert {kind for name, kind in rabbit.kinds().items() if name in ("sagas", "payments")} == {
        "quorum"
    }


# --- starts while the broker is away -------------------------------------------------------


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_starts_through_the_web_are_accepted_while_redis_is_away_and_finish_afterwards(
    world_on_redis: World, broker: PrivateRedis, tmp_path: Path, how: str
) -> None:
    address = world_on_redis.web(0)
    world_on_redis.workers(processes=2)
    door = Door(address, tmp_path)
    assert at_rest(door.start("before")[0]).status == RunStatus.SUCCEEDED
    went = time.monotonic()
    broker.kill() if how == "killed" else broker.freeze()
    with ThreadPoolExecutor(4) as callers:
        accepted = list(callers.map(door.start, (f"during-{n}" for n in range(STARTS))))
    time.sleep(max(0.0, DOWN_SECONDS - (time.monotonic() - went)))
    down = time.monotonic() - went
    broker.start() if how == "killed" else broker.thaw()
    back = time.monotonic()
    ends = Counter(at_rest(run_id, 180).status for run_id, _ in accepted)
    print(
        f"\nRedis {how} for {down:.1f} s during {STARTS} starts: {quantiles(accepted)}; "
        f"ends {dict(ends)}, all {time.monotonic() - back:.1f} s after it came back"
    )
    assert ends == {RunStatus.SUCCEEDED: STARTS}
    assert max(seconds for _, seconds in accepted) < ANSWERED_WITHIN
    effects = Counter((e.step, e.direction) for e in Ledger(tmp_path / "ledger").effects())
    assert set(effects.values()) == {STARTS + 1}, effects
    assert {direction for _, direction in effects} == {"forward"}


class Door:
    """The JSON API, as a service that may start runs sees it."""

    def __init__(self, address: str, folder: Path) -> None:
        user = User.objects.create_user("service")
        user.user_permissions.add(Permission.objects.get(codename="add_run"))
        self._token = token.issue(user, timedelta(hours=1), by=user)
        self._url = f"{address}/api/sagas/hopping/runs"
        self._payload = json.dumps({"folder": str(folder)}).encode()

    def start(self, key: str) -> tuple[UUID, float]:
        """The run's id, and after how many seconds it was accepted; urlopen raises else."""
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        }
        asked = time.monotonic()
        with urlopen(Request(self._url, self._payload, headers), timeout=30) as answer:
            assert answer.status == 202
            return UUID(json.load(answer)["id"]), time.monotonic() - asked


def quantiles(accepted: list[tuple[UUID, float]]) -> str:
    times = sorted(seconds for _, seconds in accepted)
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    return f"answers p50 {statistics.median(times):.3f} s, p99 {p99:.3f} s, max {times[-1]:.3f} s"


# --- a broker that loses messages ----------------------------------------------------------


def test_a_worker_on_a_redis_that_evicts_says_so_and_works(
    environment: dict[str, str], broker: PrivateRedis, tmp_path: Path
) -> None:
    with broker.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    named = environment | {"BROKER_URL": broker.url()}
    options = ("--concurrency=1", "--queues=sagas,payments", "--without-mingle")
    with worker_process(named, tmp_path / "log", *options) as worker:
        worker.until_logged("sagas.W107")
        assert at_rest(begin("hopping", tmp_path)).status == RunStatus.SUCCEEDED
        assert "noeviction" in worker.log()


def test_a_worker_that_was_there_before_its_broker_asks_it_later(
    environment: dict[str, str], broker: PrivateRedis, tmp_path: Path
) -> None:
    broker.kill()
    named = environment | {"BROKER_URL": broker.url()}
    with worker_process(named, tmp_path / "log", "--concurrency=1", "--queues=sagas") as worker:
        worker.until_logged("sagas.W108")
        configuration = tmp_path / "broker" / "redis.conf"
        configuration.write_text(configuration.read_text() + "maxmemory-policy allkeys-lru\n")
        broker.start()
        worker.until_logged("sagas.W107")


# --- looking -------------------------------------------------------------------------------


def begin(saga: str, folder: Path, key: str = "first") -> UUID:
    from tests.stories.work import sagas as flows  # known to this process from here on

    assert flows.gated
    # This process publishes to another broker. So the message is a lost one, and a sweep sends it.
    with override_settings(SAGAS=QUICK):
        return start(saga, {"folder": str(folder)}, key=f"{saga}:{key}").id


def in_flight(run_id: UUID, step: str) -> bool:
    return Step.objects.filter(run=run_id, name=step, status=StepStatus.IN_FLIGHT).exists()


def main_process(world: World) -> psutil.Process:
    """The worker's main process: the one that the guard in front of it started."""
    (worker,) = psutil.Process(world.pid("steps")).children()
    return worker


def connections(worker: psutil.Process, broker: PrivateRedis) -> set[int]:
    """Its open connections to the broker, by the ports at its own end."""
    found = worker.net_connections("tcp")
    return {
        c.laddr.port
        for c in found
        if c.raddr and c.raddr.port == broker.port and c.status == psutil.CONN_ESTABLISHED
    }

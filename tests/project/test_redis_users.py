"""The users that docker-compose.yml gives Redis, tried on one that is started by its command."""

import re
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache.backends.redis import RedisCache
from kombu import Connection
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from integrations.resilience.store import Shared
from project.celery import _settings
from project.engines import binaries
from project.environment import Environment
from project.queues import WORKER_GROUPS
from tests.project.processes import until
from tests.project.test_compose import COMPOSE, SERVICES

PREFIX: str = Environment.model_fields["redis_prefix"].default
PASSWORDS = {"REDIS_BROKER_PASSWORD": "ofthebroker", "REDIS_CACHE_PASSWORD": "ofthecache"}


def filled(text: str) -> str:
    """What compose makes of a value: its variables are named as ${NAME} or ${NAME:?why}."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: PASSWORDS[found[1]], text).replace("$$", "$")


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a Redis listens that was started as compose starts it."""
    shell, option, command = map(filled, SERVICES["redis"]["command"])
    free, folder = free_port(), tmp_path_factory.mktemp("redis")
    command = command.replace("redis-server", f"{binaries.redis_server()} --port {free}", 1)
    environment = {name: filled(text) for name, text in SERVICES["redis"]["environment"].items()}
    process = subprocess.Popen(
        [shell, option, f"{command} --bind 127.0.0.1"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: answers(address("BROKER_URL", free)), "Redis answers")
        yield free
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(variable: str, port: int) -> str:
    """An address that compose gives to web and workers."""
    return filled(COMPOSE["x-environment"][variable]).replace("redis:6379", f"127.0.0.1:{port}")


def answers(url: str) -> bool:
    with Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False


@pytest.fixture
def broker(port: int) -> Iterator[Any]:
    with Redis.from_url(address("BROKER_URL", port)) as client:
        yield client


@pytest.fixture
def cache(port: int) -> Iterator[Any]:
    with Redis.from_url(address("REDIS_URL", port)) as client:
        yield client


def test_without_a_password_nobody_comes_in(port: int) -> None:
    with Redis(port=port) as client, pytest.raises(AuthenticationError):
        client.ping()


@pytest.mark.parametrize("queue", [queue for group in WORKER_GROUPS.values() for queue in group])
def test_messages_pass_with_the_password_of_the_broker(port: int, queue: str) -> None:
    options = _settings("redis://")["broker_transport_options"] | {"global_keyprefix": PREFIX}
    url = address("BROKER_URL", port)
    with (
        Connection(url, transport_options=options) as connection,
        connection.SimpleQueue(queue) as messages,
    ):
        messages.put({"number": 7})
        message = messages.get(timeout=5)
        assert message.payload == {"number": 7}
        message.ack()


def test_the_broker_can_be_asked_what_it_evicts_and_to_spread_commands(broker: Any) -> None:
    assert broker.info("memory")["maxmemory_policy"] == "noeviction"
    with broker.pubsub() as heard:
        heard.subscribe(f"{PREFIX}/0.celery.pidbox")
        assert broker.publish(f"{PREFIX}/0.celery.pidbox", "ping") == 1


def test_the_cache_and_what_policies_share_is_kept_with_the_password_of_the_cache(
    port: int,
) -> None:
    url = address("REDIS_URL", port)
    cache = RedisCache(url, {"KEY_PREFIX": PREFIX})
    assert cache.add("sagas:writes:1", 0, timeout=60)
    assert cache.incr("sagas:writes:1") == 1
    shared = Shared(url)
    script = "redis.call('set', KEYS[1], redis.call('time')[1]) return redis.call('get', KEYS[1])"
    assert shared.run("0" * 40, script, [f"{PREFIX}partners:breaker:x"], [])


@pytest.mark.parametrize("database", [0, 1])
@pytest.mark.parametrize("key", ["sagas", "payments", "_kombu.binding.sagas", "unacked"])
def test_with_the_password_of_the_cache_no_message_is_read_or_written(
    port: int, database: int, key: str
) -> None:
    where = f"{address('REDIS_URL', port).removesuffix('/1')}/{database}"
    with Redis.from_url(where) as opened:
        client: Any = opened
        name = f"{PREFIX}{key}"
        write = "return redis.call('lpush', ARGV[1], 'x')"
        for command in (
            ("LPUSH", name, "x"),
            ("LRANGE", name, 0, -1),
            ("PUBLISH", f"{PREFIX}/0.celery.pidbox", "x"),
        ):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command)
        with pytest.raises(RedisError, match="can't access"):
            client.eval(write, 0, name)


def test_neither_password_changes_the_server_or_empties_it(broker: Any, cache: Any) -> None:
    for client in (broker, cache):
        for command in ("CONFIG GET dir", "CONFIG SET dir /", "FLUSHALL", "ACL LIST", "KEYS *"):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())

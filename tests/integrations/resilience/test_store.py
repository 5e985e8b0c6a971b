import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings

from integrations.errors import NotAsked
from integrations.resilience import guarded, store
from integrations.resilience.store import Script
from tests.integrations.egress.peers import answering_over_tls, certified, serving
from tests.integrations.egress.resolver import Resolver
from tests.integrations.resilience.conftest import Configure
from tests.integrations.resilience.rig import down, well, write
from tests.project.private_redis import PrivateRedis, private_redis

ECHO = Script("return ARGV[1]")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateRedis]:
    """A Redis of this test's own, which the policies use."""
    with private_redis(tmp_path) as server:
        monkeypatch.setattr(django_settings, "REDIS_URL", server.url())
        monkeypatch.setattr(store, "PATIENCE", 0.25)
        yield server


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that failed is asked again at once."""
    monkeypatch.setattr(store, "AWAY", 0.0)


@pytest.mark.parametrize("crash", ["kill", "freeze"])
def test_without_redis_calls_pass_where_no_rate_is_set(server: PrivateRedis, crash: str) -> None:
    guarded(write(), well)
    getattr(server, crash)()
    for _ in range(5):
        assert guarded(write(), well) == "done"


@pytest.mark.parametrize("crash", ["kill", "freeze"])
def test_without_redis_calls_wait_where_a_rate_is_set(
    server: PrivateRedis, crash: str, configure: Configure
) -> None:
    configure(rate={"per_second": 100})
    guarded(write(), well)
    getattr(server, crash)()
    with pytest.raises(NotAsked, match=r"rate limit.*cannot be reached") as caught:
        guarded(write(), well)
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 2


def test_a_redis_that_is_lost_during_a_call_does_not_spoil_its_answer(
    server: PrivateRedis,
) -> None:
    def ask(call: object) -> str:
        server.kill()
        return "done"

    assert guarded(write(), ask) == "done"


def test_a_redis_that_is_away_costs_one_wait_and_not_one_a_call(
    server: PrivateRedis, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "AWAY", 60.0)
    guarded(write(), well)
    server.freeze()
    with caplog.at_level(logging.WARNING, "integrations.resilience"):
        for _ in range(50):
            guarded(write(), well)
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("soon")
def test_a_redis_that_is_back_is_used_again_with_its_scripts_gone(
    server: PrivateRedis, configure: Configure
) -> None:
    configure(breaker={"minimum": 3})
    guarded(write(), well)
    server.kill()
    guarded(write(), well)
    server.start()
    for _ in range(2):
        with pytest.raises(Exception, match="is down"):
            guarded(write(), down)
    with pytest.raises(NotAsked):
        guarded(write(), well)


def test_a_script_that_redis_forgot_is_sent_again() -> None:
    assert ECHO.run([], ["a"]) == "a"
    store.shared().do(lambda redis: redis.script_flush())
    assert ECHO.run([], ["b"]) == "b"


def test_a_mistake_in_a_script_is_told_and_harms_no_call(
    server: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(store.Away):
        Script("return nothing()").run([], [])
    assert "nothing" in caplog.text


def test_a_forked_process_does_not_share_its_parents_connections() -> None:
    ECHO.run([], ["parent"])
    parents = store.shared()
    child = os.fork()
    if child == 0:
        wrong = store.shared() is parents or ECHO.run([], ["child"]) != "child"
        os._exit(int(wrong))
    assert [ECHO.run([], [str(number)]) for number in range(50)] == list(map(str, range(50)))
    assert os.waitpid(child, 0)[1] == 0


def test_keys_belong_to_this_application() -> None:
    assert store.name("breaker:payments") == (
        f"{django_settings.REDIS_PREFIX}partners:breaker:payments"
    )


def test_a_redis_whose_name_is_not_resolved_holds_up_no_call(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE", 0.25)
    monkeypatch.setattr(django_settings, "REDIS_URL", "redis://redis.example/1")
    resolver.silent.add("redis.example")
    assert guarded(write(), well) == "done"
    with pytest.raises(store.Away):
        ECHO.run([], ["hello"])


def test_the_addresses_of_a_redis_are_tried_in_turn(
    server: PrivateRedis, resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = server.url().replace("127.0.0.1", "redis.example")
    monkeypatch.setattr(django_settings, "REDIS_URL", named)
    resolver.book["redis.example"] = ["127.0.0.9", "127.0.0.1"]
    assert ECHO.run([], ["hello"]) == "hello"


def test_a_redis_over_tls_must_prove_its_name_and_not_its_address(
    resolver: Resolver, tmp_path: Path
) -> None:
    resolver.book["redis.example"] = ["127.0.0.1"]
    context, trusted = certified("redis.example", tmp_path)
    with serving(answering_over_tls(context, b"+PONG\r\n")) as server:
        connection = store._BoundedOverTls(
            host="redis.example", port=server.port, ssl_ca_certs=str(trusted)
        )
        connection._connect().close()  # type: ignore[no-untyped-call]
        assert connection.host == "redis.example"

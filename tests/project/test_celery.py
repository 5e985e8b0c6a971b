import os
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery, current_app
from celery.fixups import django as fixup
from kombu.exceptions import OperationalError

from project import celery
from project.queues import DEFAULT_QUEUE, WORKER_GROUPS
from tests.project.processes import until
from tests.project.proxy import Proxy, proxy
from tests.project.rabbitmq import VirtualHost, virtual_host
from tests.services import HOST, RABBITMQ


def with_broker(url: str) -> Celery:
    app = Celery("other", set_as_current=False)
    app.conf.update(celery._settings(url))
    return app


def test_every_django_process_publishes_through_our_application() -> None:
    assert current_app.main == "project"
    assert current_app.conf.task_acks_late


def test_the_fixup_keeps_database_connections_between_tasks() -> None:
    assert fixup.DjangoFixup(celery.app).worker_fixup.db_reuse_max > 0


def test_a_worker_tries_the_broker_again_within_seconds_however_long_it_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    def failed(error: Exception, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 20:
            raise Refused from error

    monkeypatch.setattr("kombu.utils.functional.sleep", lambda seconds: None)
    connection: Any = celery.app.connection_for_read("redis://127.0.0.1:1")
    with connection, pytest.raises(Refused):
        connection.ensure_connection(failed, None, callback=lambda: None)  # as a worker does
    assert pauses[0] == 1
    assert max(pauses) == 4


class Refused(Exception):
    pass


def test_a_queue_that_no_worker_consumes_is_refused() -> None:
    with pytest.raises(Exception, match="no-such-queue"):
        celery.app.send_task("sagas.step", queue="no-such-queue")


def test_the_queues_are_those_that_workers_consume() -> None:
    assert sorted(celery.app.amqp.queues) == sorted(
        queue for queues in WORKER_GROUPS.values() for queue in queues
    )


def test_rabbitmq_gets_quorum_queues_and_confirms_publishing() -> None:
    app = with_broker("amqp://there")
    assert app.conf.broker_transport_options["confirm_publish"] is True
    for queue in app.amqp.queues.values():
        assert queue.queue_arguments == {"x-queue-type": "quorum"}
        assert queue.exchange.type == "topic"


def test_redis_keys_carry_the_prefix() -> None:
    prefix = with_broker("redis://there").conf.broker_transport_options["global_keyprefix"]
    assert prefix.startswith("test:")


def test_a_request_gives_a_broker_that_is_away_up_soon() -> None:
    app = with_broker("redis://127.0.0.1:1/0")
    celery.publish_briefly(app)
    started = time.monotonic()
    with pytest.raises(OperationalError):
        app.send_task("sagas.step")
    assert app.conf.task_publish_retry_policy["max_retries"] == 1
    assert time.monotonic() - started < 10


def test_a_worker_sweeps() -> None:
    assert "sagas.worker:Sweeper" in celery.app.steps["worker"]


# --- a broker that falls silent ------------------------------------------------------------

#: The bounds that docs/brokers.md states, in seconds: the first publish after the broker fell
#: silent, and each later one.
BOUNDS = {
    ("redis", "web"): (6, 2),
    ("redis", "worker"): (15, 5),
    ("amqp", "web"): (5, 1),
    ("amqp", "worker"): (12, 2),
}
SLACK = 2.5  # for a busy machine; each bound is broken by far more where a timeout is missing


@pytest.fixture
def rabbit() -> Iterator[VirtualHost]:
    with virtual_host() as host:
        yield host


@pytest.fixture
def silent(request: pytest.FixtureRequest, broker: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy to a broker of that kind, and the broker's address by way of it."""
    if broker == "amqp":
        host = request.getfixturevalue("rabbit")
        with proxy(HOST, RABBITMQ.port) as between:
            yield between, host.url(between.port)
        return
    parts = urlsplit(os.environ["BROKER_URL"])
    if parts.scheme != "redis" or parts.hostname is None:
        pytest.skip("the tests' Redis has no port that a proxy could stand in front of")
    with proxy(parts.hostname, parts.port or 6379) as between:
        there = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{between.port}"
        yield between, parts._replace(netloc=there.lstrip("@")).geturl()


@pytest.mark.parametrize(("broker", "process"), BOUNDS)
def test_a_silent_broker_holds_a_publish_up_no_longer_than_the_bounds(
    silent: tuple[Proxy, str], broker: str, process: str
) -> None:
    between, url = silent
    app = with_broker(url)
    if process == "web":
        celery.publish_briefly(app)
    app.send_task("tests.nothing")
    between.stall()
    for bound in BOUNDS[broker, process][: 2 if process == "web" else 1]:  # the others are long
        assert seconds_until_given_up(app) < bound + SLACK
    between.heal()
    app.send_task("tests.nothing")


@pytest.mark.parametrize("broker", ["redis", "amqp"])
def test_a_worker_gives_a_broker_that_is_away_up_at_once(broker: str) -> None:
    assert seconds_until_given_up(with_broker(f"{broker}://127.0.0.1:1/0")) < SLACK


def seconds_until_given_up(app: Celery) -> float:
    started = time.monotonic()
    with pytest.raises(OperationalError):
        app.send_task("tests.nothing")
    return time.monotonic() - started


# --- RabbitMQ ------------------------------------------------------------------------------


def test_a_message_that_rabbitmq_refuses_raises(rabbit: VirtualHost) -> None:
    app = with_broker(rabbit.url())
    app.send_task("tests.nothing")
    rabbit.refuse_messages()
    until(lambda: refused(app), "RabbitMQ refuses")  # a queue learns late that it is full


def refused(app: Celery) -> bool:
    try:
        app.send_task("tests.nothing")
    except OperationalError as error:
        return "MessageNacked" in repr(error.__cause__)
    return False


def test_every_queue_of_ours_in_rabbitmq_is_replicated(rabbit: VirtualHost) -> None:
    app = with_broker(rabbit.url())
    queues = [queue for group in WORKER_GROUPS.values() for queue in group]
    for queue in queues:
        app.send_task("tests.nothing", queue=queue)
        assert rabbit.waiting(queue) == 1
    assert rabbit.kinds() == dict.fromkeys(queues, "quorum")


def test_a_connection_that_rabbitmq_closed_is_made_anew(rabbit: VirtualHost) -> None:
    app = with_broker(rabbit.url())
    app.send_task("tests.nothing")
    rabbit.close_connections()
    app.send_task("tests.nothing")
    assert rabbit.waiting(DEFAULT_QUEUE) == 2

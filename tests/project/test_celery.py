import time

import pytest
from celery import Celery, current_app
from celery.fixups import django as fixup
from kombu.exceptions import OperationalError

from project import celery
from project.queues import WORKER_GROUPS


def with_broker(url: str) -> Celery:
    app = Celery("other", set_as_current=False)
    app.conf.update(celery._settings(url))
    return app


def test_every_django_process_publishes_through_our_application() -> None:
    assert current_app.main == "project"
    assert current_app.conf.task_acks_late


def test_the_fixup_keeps_database_connections_between_tasks() -> None:
    assert fixup.DjangoFixup(celery.app).worker_fixup.db_reuse_max > 0


def test_a_queue_that_no_worker_consumes_is_refused() -> None:
    with pytest.raises(Exception, match="no-such-queue"):
        celery.app.send_task("sagas.step", queue="no-such-queue")


def test_the_queues_are_those_that_workers_consume() -> None:
    assert sorted(celery.app.amqp.queues) == sorted(
        queue for queues in WORKER_GROUPS.values() for queue in queues
    )


def test_rabbitmq_gets_quorum_queues_and_confirms_publishing() -> None:
    app = with_broker("amqp://there")
    assert app.conf.broker_transport_options == {"confirm_publish": True}
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

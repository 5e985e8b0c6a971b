"""The Celery application. PostgreSQL decides, so a message may be lost, late or doubled."""

import os
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu import Connection, Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

from django.conf import settings

from project.environment import is_sentinel
from project.queues import DEFAULT_QUEUE, WORKER_GROUPS

_COMMON: dict[str, Any] = {
    "task_default_queue": DEFAULT_QUEUE,
    "task_create_missing_queues": False,  # a queue that no worker consumes is refused at once
    "task_acks_late": True,
    "task_reject_on_worker_lost": False,  # a poison task would come back for ever
    "task_ignore_result": True,  # a failing result store must not change what a saga does next
    "task_time_limit": 600,  # the last resort: steps have limits of their own
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "result_backend": "django-db",  # for maintenance tasks that say ignore_result=False
    "result_extended": True,
    "task_send_sent_event": False,
    "worker_send_task_events": False,
    "worker_prefetch_multiplier": 1,
    "worker_hijack_root_logger": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,  # it would kill steps
    "worker_soft_shutdown_timeout": 40.0,  # no less than the longest step: check sagas.E118
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    # A publish that a silent broker holds up ends within docs/brokers.md's bounds; the sweep sends
    # what was not sent, so a second try is enough.
    "task_publish_retry_policy": {
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
    },
    "timezone": "UTC",
    # In this spelling the Django fixup reads it: how many tasks may share one database connection.
    # Without it every task opens a connection of its own.
    "CELERY_DB_REUSE_MAX": 1_000_000,
}

_REDIS: dict[str, Any] = {
    "broker_transport_options": {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "visibility_timeout": 3600,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "global_keyprefix": settings.REDIS_PREFIX,
    },
}

_RABBITMQ: dict[str, Any] = {
    "broker_transport_options": {
        "confirm_publish": True,  # else RabbitMQ drops what it refuses, and nobody hears of it
        # Without them a publish waits for its confirm as long as RabbitMQ is silent: for ever.
        "read_timeout": 5,
        "write_timeout": 5,
    },
    "broker_connection_timeout": 2,
    "broker_heartbeat": 30,
    "worker_detect_quorum_queues": True,  # they refuse the global prefetch that Celery would set
    "task_default_queue_type": "quorum",
    "task_default_exchange_type": "topic",  # what Celery binds to its delay queues can be no direct
    # Celery declares 28 delay queues. Nothing here waits in them, so they need no copies.
    "broker_native_delayed_delivery_queue_type": "classic",
}

#: What differs in processes that answer requests.
_BRIEF_REDIS = {
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "max_retries": 0,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}
_BRIEF_RABBITMQ = {"read_timeout": 2, "write_timeout": 2}


def _settings(broker: str, master: str = "") -> dict[str, Any]:
    rabbitmq = _is_rabbitmq(broker)
    kind = _RABBITMQ if rabbitmq else _REDIS
    named = {"master_name": master} if is_sentinel(broker) else {}
    return {
        **_COMMON,
        **kind,
        "broker_transport_options": {**kind["broker_transport_options"], **named},
        "broker_url": broker,
        "task_queues": [
            _queue(name, rabbitmq) for group in WORKER_GROUPS.values() for name in group
        ],
    }


def _queue(name: str, rabbitmq: bool) -> Queue:
    arguments = {"x-queue-type": "quorum"} if rabbitmq else {}
    exchange = Exchange(name, type="topic" if rabbitmq else "direct")
    return Queue(name, exchange, routing_key=name, queue_arguments=arguments)


def _is_rabbitmq(broker: str) -> bool:
    return broker.startswith("amqp")


_CALM_SECONDS = 4.0


class PromptConnection(Connection):
    """A connection whose next try comes soon, however long the broker was away.

    Kombu waits two seconds longer after each try, up to thirty. So workers would stay away for half
    a minute after an outage of the broker that is over. No setting changes that.
    """

    def ensure_connection(  # type: ignore[override]
        self,
        errback: Any = None,
        max_retries: int | None = None,
        interval_start: float = 1.0,
        interval_step: float = 1.0,
        interval_max: float = _CALM_SECONDS,
        **options: Any,
    ) -> Any:
        """As kombu's, with other defaults."""
        pauses: Any = (interval_start, interval_step, interval_max)
        return super().ensure_connection(errback, max_retries, *pauses, **options)  # type: ignore[arg-type]


class PromptAMQP(AMQP):
    """What makes Celery's connections."""

    Connection = PromptConnection


app = Celery("project", amqp=PromptAMQP)
app.conf.update(_settings(settings.BROKER_URL, settings.BROKER_MASTER_NAME))
app.autodiscover_tasks()
app.steps["worker"].add("sagas.worker:Sweeper")  # by name: models cannot be imported yet


def publish_briefly(app: Celery) -> None:
    """For processes that answer requests: let a broker that is silent hold one up for seconds only.

    Nothing is lost by giving up early: the sweep sends what was not sent.
    """
    rabbitmq = _is_rabbitmq(app.conf.broker_url)
    app.conf.broker_connection_timeout = 1
    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        **(_BRIEF_RABBITMQ if rabbitmq else _BRIEF_REDIS),
    }

"""System checks: what the project around the sagas must offer them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from celery import current_app, signals
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured

from sagas.conf import conf
from sagas.define import registry
from sagas.define.plan import time_limit
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.operate.catalogue import VERBS
from sagas.run.queues import routed_queues
from sagas.states import Direction

logger = logging.getLogger("sagas.checks")

_RABBITMQ_CONSUMER_TIMEOUT = 1800.0  # its default; the server's own setting cannot be asked for
#: However the project's Celery waits: a check that asks a silent broker ends.
_PATIENCE = {
    "socket_timeout": 3,
    "socket_connect_timeout": 2,
    "read_timeout": 3,
    "write_timeout": 3,
    "max_retries": 0,
}


@register("sagas")
def check_sagas(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Everything that would make a run stand still or do something twice."""
    try:
        conf()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="See sagas.conf.Conf for its names.", id="sagas.E100")]
    return [*_queues(), *_limits(), *_redelivery(), *_celery(), *_database(), *_four_eyes()]


@register("sagas", deploy=True)
def check_broker(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """What the broker itself must be set to. It is asked, so only at a deployment.

    Every worker asks it too when it starts, and ends if there is an error.
    """
    try:
        policy = _eviction_policy()
    except Exception as error:  # whatever the broker's client raises
        return [
            Caution(
                f"The broker does not answer ({type(error).__name__}), so its settings were not "
                "checked.",
                hint="Start it, or mend its address; runs are accepted meanwhile, and sent later.",
                id="sagas.W108",
            )
        ]
    if policy in (None, "noeviction"):
        return []
    return [
        Error(
            f"The broker's Redis has maxmemory-policy {policy}: once its memory is full, it drops "
            "messages that nobody has read.",
            hint="redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf. "
            "Give a cache that must evict a Redis of its own.",
            id="sagas.E107",
        )
    ]


@signals.worker_init.connect
@signals.worker_ready.connect  # by then a broker that was away answers
def refuse_unfit_broker(**_: Any) -> None:
    """Let no worker read from a broker that loses messages.

    Raises:
        SystemExit: with what is wrong and how to mend it.
    """
    for message in check_broker():
        text = f"{message.id}: {message.msg} {message.hint}"
        if message.is_serious():
            raise SystemExit(f"This worker does not start. {text}")
        logger.warning("%s", text)


def _queues() -> Iterator[CheckMessage]:
    known = routed_queues()
    for saga, step in _all_steps():
        if step.queue is not None and step.queue not in known:
            yield Error(
                f"Saga {saga.name!r}: no setting routes the queue {step.queue!r} of step "
                f"{step.name!r}, so no worker would ever read it.",
                hint=f"Add it to CELERY_TASK_QUEUES, or use one of: {', '.join(sorted(known))}.",
                id="sagas.E101",
            )


def _limits() -> Iterator[CheckMessage]:
    ends = [
        (limit, name)
        for name in ("task_time_limit", "task_soft_time_limit")
        if (limit := getattr(current_app.conf, name)) is not None
    ]
    for saga, step in _all_steps():
        seconds = _longest(step)
        for limit, name in ends:
            if seconds > limit:
                yield Error(
                    f"Saga {saga.name!r}: the message of step {step.name!r} may be worked on for "
                    f"{seconds:g} s, but Celery ends its task after {limit:g} s.",
                    hint=f"Raise CELERY_{name.upper()}, or lower the step's timeout and "
                    "SAGAS['CARRY_SECONDS'].",
                    id="sagas.E102",
                )


def _redelivery() -> Iterator[CheckMessage]:
    """A broker hands out again what a worker holds for long; that must not be a living one."""
    kind = _broker_kind()
    if kind == "redis":
        yield from _redis_redelivery()
    elif kind == "amqp":
        yield from _rabbitmq_redelivery()


def _redis_redelivery() -> Iterator[CheckMessage]:
    visibility = (current_app.conf.broker_transport_options or {}).get("visibility_timeout", 3600)
    for saga, step in _all_steps():
        if _longest(step) >= visibility:
            yield Error(
                f"Saga {saga.name!r}: the message of step {step.name!r} may be worked on for "
                f"{_longest(step):g} s, but Redis hands it out again after {visibility:g} s.",
                hint="Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS, or lower the "
                "step's timeout and SAGAS['CARRY_SECONDS'].",
                id="sagas.E103",
            )
    limit = current_app.conf.task_time_limit
    if limit is not None and limit >= visibility:
        yield Caution(
            f"Celery lets a task run for {limit:g} s, but Redis hands its message out again after "
            f"{visibility:g} s.",
            hint="Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS above "
            "CELERY_TASK_TIME_LIMIT.",
            id="sagas.W109",
        )


def _rabbitmq_redelivery() -> Iterator[CheckMessage]:
    for saga, step in _all_steps():
        if _longest(step) >= _RABBITMQ_CONSUMER_TIMEOUT:
            yield Caution(
                f"Saga {saga.name!r}: the message of step {step.name!r} may be worked on for "
                f"{_longest(step):g} s, but RabbitMQ by default cuts off a worker that holds one "
                f"for {_RABBITMQ_CONSUMER_TIMEOUT:g} s.",
                hint="Raise consumer_timeout in rabbitmq.conf, or lower the step's timeout and "
                "SAGAS['CARRY_SECONDS'].",
                id="sagas.W110",
            )


def _celery() -> Iterator[CheckMessage]:
    if "pickle" in (current_app.conf.accept_content or []):
        yield Error(
            "Celery accepts pickle, which runs whatever a message says.",
            hint='Set CELERY_ACCEPT_CONTENT = ["json"].',
            id="sagas.E104",
        )
    if not any("Sweeper" in repr(step) for step in current_app.steps["worker"]):
        yield Caution(
            "No worker sweeps: lost messages and due retries would never be sent.",
            hint='In your Celery module: app.steps["worker"].add(sagas.worker.Sweeper).',
            id="sagas.W105",
        )


def _database() -> Iterator[CheckMessage]:
    engine = settings.DATABASES["default"]["ENGINE"]
    if "postgresql" not in engine:
        yield Error(
            f"The default database is {engine}; the record needs PostgreSQL.",
            hint="Set DATABASE_URL to a PostgreSQL database.",
            id="sagas.E106",
        )


def _four_eyes() -> Iterator[CheckMessage]:
    """A slip in a rule would let one person do what takes two."""
    sagas = {saga.name for saga in registry.all_sagas()}
    for saga, verbs in conf().FOUR_EYES.items():
        if saga != "*" and saga not in sagas:
            yield Error(
                f"SAGAS['FOUR_EYES'] names the saga {saga!r}, which is not defined.",
                hint=f"Use '*' for all sagas, or one of: {', '.join(sorted(sagas)) or 'none'}.",
                id="sagas.E111",
            )
        for verb in verbs:
            if verb not in VERBS:
                yield Error(
                    f"SAGAS['FOUR_EYES'][{saga!r}] names the verb {verb!r}, which does not exist.",
                    hint=f"Verbs are: {', '.join(VERBS)}.",
                    id="sagas.E112",
                )


def _all_steps() -> Iterator[tuple[Definition, Step]]:
    for saga in registry.all_sagas():
        for step in saga.steps.values():
            yield saga, step


def _longest(step: Step) -> float:
    """Seconds that a worker may hold the message of this step."""
    own = max(time_limit(step, direction) for direction in Direction) + conf().GRACE_SECONDS
    return max(own, conf().CARRY_SECONDS)  # it may carry further steps, up to the same end


def _broker_kind() -> str:
    with current_app.connection_for_read() as broker:
        return str(broker.transport.driver_type)


def _eviction_policy() -> str | None:
    """What the broker's Redis does when its memory is full; None if the broker is no Redis."""
    with current_app.connection_for_read(transport_options=_PATIENCE) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
        if broker.transport.driver_type != "redis":
            return None
        client: Any = broker.default_channel.client  # type: ignore[attr-defined]  # Redis's has one
        # Not CONFIG GET, which hosted ones refuse.
        return str(client.info("memory").get("maxmemory_policy", "noeviction"))

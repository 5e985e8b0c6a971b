"""System checks: what the project around the sagas must offer them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from celery import current_app
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
from sagas.states import Direction


@register("sagas")
def check_sagas(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Everything that would make a run stand still or do something twice."""
    try:
        conf()
    except ImproperlyConfigured as error:
        return [Error(str(error), hint="See sagas.conf.Conf for its names.", id="sagas.E100")]
    return [*_queues(), *_limits(), *_celery(), *_database()]


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
    visibility = (current_app.conf.broker_transport_options or {}).get("visibility_timeout", 3600)
    for saga, step in _all_steps():
        longest = max(time_limit(step, d) for d in Direction) + conf().GRACE_SECONDS
        # One message may carry further steps, up to the same step's end.
        seconds = max(longest, conf().CARRY_SECONDS)
        for limit, name in ends:
            if seconds > limit:
                yield Error(
                    f"Saga {saga.name!r}: the message of step {step.name!r} may be worked on for "
                    f"{seconds:g} s, but Celery ends its task after {limit:g} s.",
                    hint=f"Raise CELERY_{name.upper()}, or lower the step's timeout and "
                    "SAGAS['CARRY_SECONDS'].",
                    id="sagas.E102",
                )
        if seconds >= visibility:
            yield Error(
                f"Saga {saga.name!r}: the message of step {step.name!r} may be worked on for "
                f"{seconds:g} s, but Redis hands it out again after {visibility:g} s.",
                hint="Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS, or lower the "
                "step's timeout and SAGAS['CARRY_SECONDS'].",
                id="sagas.E103",
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


def routed_queues() -> frozenset[str]:
    """The names of the queues that Celery's settings know."""
    queues = current_app.conf.task_queues or ()
    names = {q if isinstance(q, str) else q.name for q in queues}
    return frozenset({*names, current_app.conf.task_default_queue})


def _all_steps() -> Iterator[tuple[Definition, Step]]:
    for saga in registry.all_sagas():
        for step in saga.steps.values():
            yield saga, step

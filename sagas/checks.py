"""System checks: what the project around the sagas must offer them."""

from __future__ import annotations

import logging
import pickle
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from celery import current_app, signals
from django.apps import AppConfig
from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, BaseCache, InvalidCacheBackendError, caches
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from sagas import db
from sagas.conf import conf
from sagas.define import registry
from sagas.define.plan import time_limit
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.operate.catalogue import RULES
from sagas.operate.stores import store
from sagas.pooler import loses_prepared_statements
from sagas.run.queues import routed_queues
from sagas.run.snapshots import holders
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
    return [
        *_queues(),
        *_limits(),
        *_shutdown(),
        *_redelivery(),
        *_celery(),
        *_cache(),
        *_database(),
        *_four_eyes(),
        *_anchor(),
    ]


@register("sagas", deploy=True)
def check_broker(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """What the broker itself must be set to. It is asked, so only at a deployment.

    Every worker asks it too when it starts, and logs what it finds.
    """
    return [*_unverified(), *_eviction()]


@register("sagas", deploy=True)
def check_snapshots(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """What holds an old snapshot. The database is asked, so only at a deployment."""
    try:
        found = holders()
    except DatabaseError as error:
        return [
            Caution(
                f"The database does not answer ({type(error).__name__}), so nobody looked for old "
                "snapshots.",
                hint="Start it, or mend its address.",
                id="sagas.W119",
            )
        ]
    return [
        Caution(
            f"An old snapshot is held by {holder}. Until it ends PostgreSQL cannot remove dead "
            "rows, so queries get slower.",
            hint=f"{holder.end} ends it. Set idle_in_transaction_session_timeout, or "
            "transaction_timeout, so that none is forgotten.",
            id="sagas.W117",
        )
        for holder in found
    ]


@register("sagas", deploy=True)
def check_pooler(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """What a pooler between us and PostgreSQL would break. It is tried, so only at a deployment."""
    if conf().PREPARED_STATEMENTS:
        return list(_lost_statements())
    return list(_server_side_cursors())


@register("sagas", deploy=True)
def check_audit(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """What lets somebody rewrite the audit unseen. The database is asked, so at a deployment."""
    return [*_unsigned(), *_owned()]


@register("sagas", deploy=True)
def check_proxies(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    """Behind a proxy that is not declared all clients have one address, and share its limits."""
    if settings.SECURE_PROXY_SSL_HEADER is None or conf().TRUSTED_PROXIES:
        return []
    return [
        Caution(
            "SECURE_PROXY_SSL_HEADER says that a proxy stands in front, but "
            "SAGAS['TRUSTED_PROXIES'] is 0: all clients count as one address, so a few wrong "
            "passwords of anybody keep everybody out.",
            hint="Set it to the number of proxies that every request passes, each of which must "
            "add its caller's address to X-Forwarded-For.",
            id="sagas.W124",
        )
    ]


@signals.worker_init.connect
@signals.worker_ready.connect  # by then a broker that was away answers
def log_unfit_broker(**_: Any) -> None:
    """Say in a worker's log what is wrong with its broker; it works all the same."""
    _log(check_broker())


@signals.worker_init.connect
def log_unfit_pooler(**_: Any) -> None:
    """Say in a worker's log what a pooler breaks: it shows as errors now and then, under load."""
    _log(check_pooler())


def _log(messages: Sequence[CheckMessage]) -> None:
    for message in messages:
        level = logging.ERROR if message.is_serious() else logging.WARNING
        logger.log(level, "%s: %s %s", message.id, message.msg, message.hint)


def _lost_statements() -> Iterator[CheckMessage]:
    try:
        lost = loses_prepared_statements()
    except Exception as error:  # the database is away: other checks and every query say so
        logger.info("The database does not say whether it keeps statements: %s.", error)
        return
    if lost:
        yield Error(
            "Between us and PostgreSQL is a pooler in transaction mode that loses prepared "
            "statements, so that steps and starts fail now and then.",
            hint="Set SAGAS['PREPARED_STATEMENTS'] = False; or use PgBouncer 1.21 or newer with "
            "max_prepared_statements, or its session mode.",
            id="sagas.E121",
        )


def _server_side_cursors() -> Iterator[CheckMessage]:
    """Who prepares nothing has a pooler, and there Django's cursors are lost too."""
    if not settings.DATABASES["default"].get("DISABLE_SERVER_SIDE_CURSORS"):
        yield Caution(
            "SAGAS['PREPARED_STATEMENTS'] is off, but Django still uses server-side cursors, which "
            "a pooler in transaction mode loses: exports would fail.",
            hint="Set DATABASES['default']['DISABLE_SERVER_SIDE_CURSORS'] = True.",
            id="sagas.W122",
        )


def _anchor() -> Iterator[CheckMessage]:
    try:
        kept = store()
    except Exception as error:  # whatever importing and making it raises
        yield Error(
            f"SAGAS['AUDIT_ANCHOR'] cannot be used: {type(error).__name__}: {error}.",
            hint="It is the absolute path of a file, or the dotted path of a class or an object.",
            id="sagas.E130",
        )
        return
    if kept is not None and not (hasattr(kept, "append") and hasattr(kept, "read")):
        yield Error(
            f"SAGAS['AUDIT_ANCHOR'] names {conf().AUDIT_ANCHOR}, which keeps nothing.",
            hint="It needs the methods append(line) and read(); see sagas.operate.stores.Store.",
            id="sagas.E130",
        )


def _unsigned() -> Iterator[CheckMessage]:
    if conf().AUDIT_KEY is None:
        yield Caution(
            "The audit is signed with the project's SECRET_KEY. When that is changed and "
            "forgotten, what it signed can be checked no more.",
            hint="Set SAGAS['AUDIT_KEY'] to a random text that is kept as long as the audit, and "
            "list SECRET_KEY in SAGAS['AUDIT_KEY_FALLBACKS'] if it has signed anything.",
            id="sagas.W131",
        )
    if not conf().AUDIT_ANCHOR:
        yield Caution(
            "Nothing of the audit is kept outside the database: whoever owns its tables can make "
            "it anew, and manage.py audit verify passes.",
            hint="Set SAGAS['AUDIT_ANCHOR'] to the path of a file that the database's users cannot "
            "write, or to a store of your own.",
            id="sagas.W132",
        )


_OWNED = """
SELECT pg_has_role(current_user, relowner, 'MEMBER') FROM pg_class
WHERE oid = to_regclass('sagas_auditentry')"""


def _owned() -> Iterator[CheckMessage]:
    try:
        owned = db.execute(_OWNED)
    except DatabaseError:  # another check says so
        return
    if owned == [(True,)]:
        yield Caution(
            "The application's database user owns the engine's tables, so it can remove the "
            "triggers that protect audit and events.",
            hint="Let another user own and migrate them: manage.py sagas roles.",
            id="sagas.W133",
        )


def _unverified() -> Iterator[CheckMessage]:
    with current_app.connection_for_read() as broker:
        options = broker.ssl if isinstance(broker.ssl, Mapping) else {}
    demanded = options.get("ssl_cert_reqs", options.get("cert_reqs"))
    if demanded in (ssl.CERT_NONE, "none", "CERT_NONE"):
        yield Caution(
            "The broker's certificate is not verified, so whoever is between may read and write "
            "messages: Celery does not verify rediss:// unless it is told to.",
            hint="Add ?ssl_cert_reqs=required to the broker's address, and &ssl_ca_certs=PATH for "
            "an authority of your own; or set ssl_cert_reqs in CELERY_BROKER_USE_SSL.",
            id="sagas.W120",
        )


def _eviction() -> Iterator[CheckMessage]:
    """A queue has no time to live, so volatile-* policies leave it alone as noeviction does."""
    try:
        policy = _eviction_policy()
    except Exception as error:  # whatever the broker's client raises
        yield Caution(
            f"The broker does not answer ({type(error).__name__}), so its settings were not "
            "checked.",
            hint="Start it, or mend its address; runs are accepted meanwhile, and sent later.",
            id="sagas.W108",
        )
        return
    if policy is not None and policy.startswith("allkeys-"):
        yield Caution(
            f"The broker's Redis has maxmemory-policy {policy}: once its memory is full, it drops "
            "messages that nobody has read. Those of runs are sent again, which takes time; those "
            "of other tasks are lost.",
            hint="redis-cli CONFIG SET maxmemory-policy noeviction, and the same in redis.conf. "
            "Give a cache that must evict a Redis of its own.",
            id="sagas.W107",
        )


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


def _shutdown() -> Iterator[CheckMessage]:
    """A soft shutdown ends what it does not wait for; a warm one waits for the step at hand."""
    soft = current_app.conf.worker_soft_shutdown_timeout or 0.0
    longest = max(_all_steps(), key=lambda each: _own(each[1]), default=None)
    if longest is None or not 0 < soft < (seconds := _own(longest[1])):
        return
    yield Error(
        f"Saga {longest[0].name!r}: step {longest[1].name!r} may take {seconds:g} s, but a worker "
        f"that is told to stop ends it after {soft:g} s: at each deployment it may be called "
        "twice.",
        hint=f"Set CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT to {seconds:g} or more, and what ends the "
        "worker's process (stop_grace_period, terminationGracePeriodSeconds) above that; or lower "
        "the step's timeout.",
        id="sagas.E118",
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


def _cache() -> Iterator[CheckMessage]:
    """The API counts in the default cache, and the console reads the lengths of queues from it."""
    try:
        cache = caches[DEFAULT_CACHE_ALIAS]
    except InvalidCacheBackendError:  # whoever uses the cache says so
        return
    if _unpickles(cache):
        yield Caution(
            "The default cache keeps pickles on a server: whoever can write to it runs code in "
            "every process that reads the cache, as the console does.",
            hint="If all that your project keeps there has a JSON form, set "
            "CACHES['default']['OPTIONS']['serializer'] = 'sagas.cache.JSONSerializer' for "
            "Django's Redis cache, or the like for another. Else let nobody but the project reach "
            "the server.",
            id="sagas.W123",
        )


def _unpickles(cache: BaseCache) -> bool:
    """Whether it runs what its server says. A backend that is not known is not accused."""
    if isinstance(cache, BaseMemcachedCache):
        return "serde" not in settings.CACHES[DEFAULT_CACHE_ALIAS].get("OPTIONS", {})
    client: Any = getattr(cache, "client", None) or getattr(cache, "_cache", None)
    try:  # django-redis' client, or Django's
        return bool(client._serializer.loads(pickle.dumps("pickled")) == "pickled")
    except Exception:  # it has no serializer, or one that reads no pickles
        return False


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
            if verb not in RULES:
                yield Error(
                    f"SAGAS['FOUR_EYES'][{saga!r}] names the verb {verb!r}, which does not exist.",
                    hint=f"It may name: {', '.join(RULES)}.",
                    id="sagas.E112",
                )


def _all_steps() -> Iterator[tuple[Definition, Step]]:
    for saga in registry.all_sagas():
        for step in saga.steps.values():
            yield saga, step


def _longest(step: Step) -> float:
    """Seconds that a worker may hold the message of this step."""
    return max(_own(step), conf().CARRY_SECONDS)  # it may carry further ones, up to the same end


def _own(step: Step) -> float:
    """Seconds that one attempt of this step may take, in either direction."""
    return max(time_limit(step, direction) for direction in Direction) + conf().GRACE_SECONDS


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

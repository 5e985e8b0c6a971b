"""System checks: a project around the sagas that would let runs stand still is told so."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from celery import current_app
from django.conf import settings
from django.core.cache import BaseCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings
from django.utils.module_loading import import_string

from sagas import checks, db
from sagas.checks import check_audit, check_broker, check_sagas, log_unfit_broker
from sagas.define import registry
from tests.project.private_redis import PrivateRedis, private_redis
from tests.project.rabbitmq import virtual_host
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Known

_SOUND: dict[str, Any] = {
    "task_time_limit": None,
    "task_soft_time_limit": None,
    "worker_soft_shutdown_timeout": 0.0,
    "accept_content": ["json"],
    "broker_transport_options": {},
}


@pytest.fixture(autouse=True)
def _only_ours(monkeypatch: pytest.MonkeyPatch, known: Known) -> None:
    """No sagas but the test's."""
    monkeypatch.setattr(registry, "_sagas", {})


@pytest.fixture(autouse=True)
def celery() -> Iterator[Any]:
    """Celery's settings without limits of time, as they were again afterwards."""
    before = {name: current_app.conf[name] for name in (*_SOUND, "broker_url", "broker_use_ssl")}
    current_app.conf.update(_SOUND)
    yield current_app.conf
    current_app.conf.update(before)


REDIS_CACHE = "django.core.cache.backends.redis.RedisCache"

# Each case: the id, whether it is an error, its message, its hint, and what breaks the project.
CASES: list[tuple[str, bool, str, str, dict[str, Any]]] = [
    (
        "sagas.E118",
        True,
        "Saga 'flow': step 'b' may take 55 s, but a worker that is told to stop ends it after "
        "10 s: at each deployment it may be called twice.",
        "Set CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT to 55 or more, and what ends the worker's "
        "process (stop_grace_period, terminationGracePeriodSeconds) above that; or lower the "
        "step's timeout.",
        {"step": {"timeout": 50}, "celery": {"worker_soft_shutdown_timeout": 10.0}},
    ),
    (
        "sagas.E101",
        True,
        "Saga 'flow': no setting routes the queue 'nowhere' of step 'b', so no worker would "
        "ever read it.",
        "Add it to CELERY_TASK_QUEUES, or use one of: ",
        {"step": {"queue": "nowhere"}},
    ),
    (
        "sagas.E102",
        True,
        "Saga 'flow': the message of step 'b' may be worked on for 605 s, but Celery ends its "
        "task after 500 s.",
        "Raise CELERY_TASK_TIME_LIMIT, or lower the step's timeout and SAGAS['CARRY_SECONDS'].",
        {"step": {"timeout": 600}, "celery": {"task_time_limit": 500}},
    ),
    (
        "sagas.E102",
        True,
        "Saga 'flow': the message of step 'b' may be worked on for 605 s, but Celery ends its "
        "task after 500 s.",
        "Raise CELERY_TASK_TIME_LIMIT, or lower the step's timeout and SAGAS['CARRY_SECONDS'].",
        {"step": {"undo": {"timeout": 600}}, "celery": {"task_time_limit": 500}},
    ),
    (
        "sagas.E102",
        True,
        "Saga 'flow': the message of step 'b' may be worked on for 240 s, but Celery ends its "
        "task after 120 s.",
        "Raise CELERY_TASK_SOFT_TIME_LIMIT, or lower the step's timeout and "
        "SAGAS['CARRY_SECONDS'].",
        {"celery": {"task_soft_time_limit": 120}},
    ),
    (
        "sagas.E103",
        True,
        "Saga 'flow': the message of step 'b' may be worked on for 5005 s, but Redis hands it "
        "out again after 3600 s.",
        "Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS, or lower the step's "
        "timeout and SAGAS['CARRY_SECONDS'].",
        {"step": {"timeout": 5000}},
    ),
    (
        "sagas.E103",
        True,
        "Saga 'flow': the message of step 'b' may be worked on for 240 s, but Redis hands it out "
        "again after 60 s.",
        "Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS, or lower the step's "
        "timeout and SAGAS['CARRY_SECONDS'].",
        {"celery": {"broker_transport_options": {"visibility_timeout": 60}}},
    ),
    (
        "sagas.W109",
        False,
        "Celery lets a task run for 300 s, but Redis hands its message out again after 250 s.",
        "Raise visibility_timeout in CELERY_BROKER_TRANSPORT_OPTIONS above CELERY_TASK_TIME_LIMIT.",
        {
            "celery": {
                "broker_transport_options": {"visibility_timeout": 250},
                "task_time_limit": 300,
            }
        },
    ),
    (
        "sagas.W110",
        False,
        "Saga 'flow': the message of step 'b' may be worked on for 5005 s, but RabbitMQ by default "
        "cuts off a worker that holds one for 1800 s.",
        "Raise consumer_timeout in rabbitmq.conf, or lower the step's timeout and "
        "SAGAS['CARRY_SECONDS'].",
        {"step": {"timeout": 5000}, "celery": {"broker_url": "amqp://there"}},
    ),
    (
        "sagas.E104",
        True,
        "Celery accepts pickle, which runs whatever a message says.",
        'Set CELERY_ACCEPT_CONTENT = ["json"].',
        {"celery": {"accept_content": ["json", "pickle"]}},
    ),
    (
        "sagas.W105",
        False,
        "No worker sweeps: lost messages and due retries would never be sent.",
        'In your Celery module: app.steps["worker"].add(sagas.worker.Sweeper).',
        {"steps": set()},
    ),
    (
        "sagas.W123",
        False,
        "The default cache keeps pickles on a server: whoever can write to it runs code in every "
        "process that reads the cache, as the console does.",
        "If all that your project keeps there has a JSON form, set "
        "CACHES['default']['OPTIONS']['serializer'] = 'sagas.cache.JSONSerializer' for Django's "
        "Redis cache, or the like for another.",
        {"cache": {"BACKEND": REDIS_CACHE, "LOCATION": "redis://there"}},
    ),
    (
        "sagas.E106",
        True,
        "The default database is django.db.backends.sqlite3; the record needs PostgreSQL.",
        "Set DATABASE_URL to a PostgreSQL database.",
        {"engine": "django.db.backends.sqlite3"},
    ),
    (
        "sagas.E111",
        True,
        "SAGAS['FOUR_EYES'] names the saga 'none', which is not defined.",
        "Use '*' for all sagas, or one of: ",
        {"settings": {"FOUR_EYES": {"none": ["skip"]}}},
    ),
    (
        "sagas.E112",
        True,
        "SAGAS['FOUR_EYES']['*'] names the verb 'skp', which does not exist.",
        "It may name: retry, mark, skip,",
        {"settings": {"FOUR_EYES": {"*": ["skp"]}}},
    ),
    (
        "sagas.E130",
        True,
        "SAGAS['AUDIT_ANCHOR'] cannot be used: ModuleNotFoundError: No module named 'nowhere'.",
        "It is the absolute path of a file, or the dotted path of a class or an object.",
        {"settings": {"AUDIT_ANCHOR": "nowhere.Store"}},
    ),
    (
        "sagas.E130",
        True,
        "SAGAS['AUDIT_ANCHOR'] names tests.sagas.test_checks.REDIS_CACHE, which keeps nothing.",
        "It needs the methods append(line) and read(); see sagas.operate.stores.Store.",
        {"settings": {"AUDIT_ANCHOR": "tests.sagas.test_checks.REDIS_CACHE"}},
    ),
    (
        "sagas.E100",
        True,
        "The setting SAGAS is wrong. SAGAS['NONSENSE']: Extra inputs are not permitted.",
        "See sagas.conf.Conf for its names.",
        {"settings": {"NONSENSE": 1}},
    ),
]


#: What only broker, pooler or database can tell; tested on real ones, below, in test_pooler and in
#: run/test_snapshots.
ASKED = {
    f"sagas.{id_}"
    for id_ in (
        *("W107", "W108", "W117", "W119", "W120", "E121", "W122", "W124"),
        *("W131", "W132", "W133"),
    )
}


def found_in(
    monkeypatch: pytest.MonkeyPatch, celery: Any, known: Known, broken: dict[str, Any]
) -> list[CheckMessage]:
    """What the checks find in a project with one saga and this broken."""
    known(flow([simple("b", **broken.get("step", {}))]))
    celery.update(broken.get("celery", {}))
    if "steps" in broken:
        monkeypatch.setitem(current_app.steps, "worker", broken["steps"])
    if "engine" in broken:
        databases = {"default": {"ENGINE": broken["engine"]}}
        monkeypatch.setattr(settings, "DATABASES", databases)
    cache = broken.get("cache", settings.CACHES["default"])
    with override_settings(SAGAS=broken.get("settings", {}), CACHES={"default": cache}):
        return check_sagas()


def test_a_sound_project_is_left_in_peace(
    monkeypatch: pytest.MonkeyPatch, celery: Any, known: Known
) -> None:
    assert found_in(monkeypatch, celery, known, {}) == []
    assert found_in(monkeypatch, celery, lambda saga: saga, {}) == []


@pytest.mark.parametrize(
    ("id_", "is_error", "message", "hint", "broken"),
    CASES,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(CASES)],
)
def test_a_broken_project_is_told_what_and_how_to_mend_it(
    monkeypatch: pytest.MonkeyPatch,
    celery: Any,
    known: Known,
    id_: str,
    is_error: bool,
    message: str,
    hint: str,
    broken: dict[str, Any],
) -> None:
    (found,) = found_in(monkeypatch, celery, known, broken)
    assert (found.id, found.msg) == (id_, message)
    assert found.hint is not None
    assert found.hint.startswith(hint)
    assert found.is_serious() is is_error


class Memcached(BaseMemcachedCache):
    """Of neither library that Django knows, and like both."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params, MagicMock(), KeyError)


class DjangoRedis(BaseCache):
    """Made as django-redis is."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.client = SimpleNamespace(_serializer=import_string(params["OPTIONS"]["SERIALIZER"])())


@pytest.mark.parametrize(
    ("backend", "options", "warned"),
    [
        (REDIS_CACHE, {}, True),
        (REDIS_CACHE, {"serializer": "django.core.cache.backends.redis.RedisSerializer"}, True),
        (REDIS_CACHE, {"serializer": "sagas.cache.JSONSerializer"}, False),
        (f"{__name__}.Memcached", {}, True),
        (f"{__name__}.Memcached", {"serde": object()}, False),
        (f"{__name__}.DjangoRedis", {"SERIALIZER": "sagas.cache.JSONSerializer"}, False),
        (
            f"{__name__}.DjangoRedis",
            {"SERIALIZER": "django.core.cache.backends.redis.RedisSerializer"},
            True,
        ),
        ("django.core.cache.backends.locmem.LocMemCache", {}, False),  # nobody else writes there
        ("django.core.cache.backends.dummy.DummyCache", {}, False),
        ("nowhere.Cache", {}, False),  # whoever uses it says so
    ],
)
def test_a_cache_that_a_server_fills_with_pickles_is_warned_about(
    monkeypatch: pytest.MonkeyPatch,
    celery: Any,
    known: Known,
    backend: str,
    options: dict[str, Any],
    warned: bool,
) -> None:
    cache = {"BACKEND": backend, "LOCATION": "redis://there", "OPTIONS": options}
    found = found_in(monkeypatch, celery, known, {"cache": cache})
    assert [message.id for message in found] == ["sagas.W123"] * warned


def test_every_check_is_tried_here() -> None:
    source = Path(checks.__file__).read_text()
    assert set(re.findall(r'id="(sagas\.[EW]\d+)"', source)) == {case[0] for case in CASES} | ASKED


def test_no_id_is_also_a_definitions() -> None:
    assert all(int(case[0][-3:]) >= 100 for case in CASES)


def test_every_step_with_a_fault_is_named(
    monkeypatch: pytest.MonkeyPatch, celery: Any, known: Known
) -> None:
    known(flow([simple(name, queue="nowhere") for name in "xyz"], name="other"))
    found = found_in(monkeypatch, celery, known, {"step": {"queue": "nowhere"}})
    assert [m.msg.split("step ")[1][:3] for m in found] == ["'b'", "'x'", "'y'", "'z'"]


def test_django_runs_the_checks() -> None:
    with override_settings(SAGAS={"NONSENSE": 1}):
        assert "sagas.E100" in {message.id for message in run_checks(tags=["sagas"])}


# --- the broker itself ---------------------------------------------------------------------


@pytest.fixture
def broker(tmp_path: Path, celery: Any) -> Iterator[PrivateRedis]:
    """A Redis that the test may spoil, as the broker."""
    with private_redis(tmp_path) as server:
        celery.broker_url = server.url()
        yield server


def set_policy(server: PrivateRedis, policy: str) -> None:
    with server.client() as client:
        client.config_set("maxmemory-policy", policy)


def test_a_redis_that_evicts_nothing_is_a_fit_broker(broker: PrivateRedis) -> None:
    assert check_broker() == []
    log_unfit_broker()


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-ttl"])
def test_a_redis_that_evicts_what_expires_is_a_fit_broker(
    broker: PrivateRedis, policy: str
) -> None:
    set_policy(broker, policy)
    assert check_broker() == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_a_redis_that_evicts_messages_is_warned_about(
    broker: PrivateRedis, policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    set_policy(broker, policy)
    (found,) = check_broker()
    assert (found.id, found.is_serious()) == ("sagas.W107", False)
    assert policy in found.msg
    assert found.hint is not None
    assert "CONFIG SET maxmemory-policy noeviction" in found.hint
    log_unfit_broker()
    assert "sagas.W107" in caplog.text


@pytest.mark.parametrize(
    ("address", "use_ssl", "warned"),
    [
        ("rediss://there/0", None, True),  # which Celery does not verify
        ("rediss://there/0?ssl_cert_reqs=none", None, True),
        ("rediss://there/0?ssl_cert_reqs=CERT_NONE", None, True),
        ("rediss://there/0?ssl_cert_reqs=required", None, False),
        ("rediss://there/0", {"ssl_cert_reqs": "none"}, True),
        ("rediss://there/0", {"ssl_cert_reqs": ssl.CERT_REQUIRED}, False),
        ("redis://there/0", None, False),
        ("amqps://there//", None, False),  # which is verified
        ("amqps://there//", {"cert_reqs": ssl.CERT_NONE}, True),
    ],
)
def test_a_broker_whose_certificate_is_not_verified_is_warned_about(
    celery: Any, monkeypatch: pytest.MonkeyPatch, address: str, use_ssl: Any, warned: bool
) -> None:
    celery.update(broker_url=address, broker_use_ssl=use_ssl)
    monkeypatch.setattr(checks, "_eviction_policy", lambda: None)
    found = check_broker()
    assert [message.id for message in found] == ["sagas.W120"] * warned
    assert all("ssl_cert_reqs=required" in str(message.hint) for message in found)


def test_a_broker_that_is_away_is_no_reason_not_to_start(
    broker: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()
    (found,) = check_broker()
    assert (found.id, found.is_serious()) == ("sagas.W108", False)
    log_unfit_broker()
    assert "sagas.W108: The broker does not answer" in caplog.text


def test_a_silent_broker_does_not_hold_a_check_up(broker: PrivateRedis) -> None:
    broker.freeze()
    started = time.monotonic()
    assert [message.id for message in check_broker()] == ["sagas.W108"]
    assert time.monotonic() - started < 10
    broker.thaw()


def test_a_broker_that_is_no_redis_has_no_such_policy(celery: Any) -> None:
    with virtual_host() as host:
        celery.broker_url = host.url()
        assert check_broker() == []


@pytest.mark.django_db
def test_only_a_deployment_asks_the_broker(broker: PrivateRedis) -> None:
    set_policy(broker, "allkeys-lru")
    deployed = run_checks(tags=["sagas"], include_deployment_checks=True)
    assert "sagas.W107" in {message.id for message in deployed}
    assert "sagas.W107" not in {message.id for message in run_checks(tags=["sagas"])}


# --- the audit -----------------------------------------------------------------------------

OWNER = "The application's database user owns the engine's tables"


@pytest.mark.django_db
def test_a_deployment_without_a_key_or_an_anchor_is_warned_about() -> None:
    key = {"AUDIT_KEY": "0123456789" * 5}
    for given, ids in (
        ({}, ["sagas.W131", "sagas.W132", "sagas.W133"]),
        (key, ["sagas.W132", "sagas.W133"]),
        ({"AUDIT_ANCHOR": "/var/lib/anchors.jsonl"}, ["sagas.W131", "sagas.W133"]),
    ):
        with override_settings(SAGAS=given):
            assert [message.id for message in check_audit()] == ids


@pytest.mark.django_db
def test_a_user_who_does_not_own_the_tables_is_left_in_peace() -> None:
    with override_settings(SAGAS={"AUDIT_KEY": "0123456789" * 5, "AUDIT_ANCHOR": "/a"}):
        (found,) = check_audit()
        assert found.msg.startswith(OWNER)
        db.execute("SET LOCAL ROLE pg_read_all_data")
        assert check_audit() == []


# --- proxies -------------------------------------------------------------------------------


def test_a_proxy_that_is_not_declared_is_warned_of(settings: Any) -> None:
    settings.SAGAS = {}
    settings.SECURE_PROXY_SSL_HEADER = None
    assert checks.check_proxies() == []
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert [message.id for message in checks.check_proxies()] == ["sagas.W124"]
    settings.SAGAS = {"TRUSTED_PROXIES": 1}
    assert checks.check_proxies() == []

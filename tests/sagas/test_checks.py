"""System checks: a project around the sagas that would let runs stand still is told so."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.test import override_settings

from sagas import checks
from sagas.checks import check_broker, check_sagas, refuse_unfit_broker
from sagas.define import registry
from tests.project.private_redis import PrivateRedis, private_redis
from tests.project.rabbitmq import virtual_host
from tests.sagas.flows import flow, simple
from tests.sagas.stage import Known

_SOUND: dict[str, Any] = {
    "task_time_limit": None,
    "task_soft_time_limit": None,
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
    before = {name: current_app.conf[name] for name in (*_SOUND, "broker_url")}
    current_app.conf.update(_SOUND)
    yield current_app.conf
    current_app.conf.update(before)


# Each case: the id, whether it is an error, its message, its hint, and what breaks the project.
CASES: list[tuple[str, bool, str, str, dict[str, Any]]] = [
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
        "Verbs are: retry, mark, skip,",
        {"settings": {"FOUR_EYES": {"*": ["skp"]}}},
    ),
    (
        "sagas.E100",
        True,
        "The setting SAGAS is wrong. SAGAS['NONSENSE']: Extra inputs are not permitted.",
        "See sagas.conf.Conf for its names.",
        {"settings": {"NONSENSE": 1}},
    ),
]


#: What only the broker itself can tell; tested below, on a real one.
ASKED = {"sagas.E107", "sagas.W108"}


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
    with override_settings(SAGAS=broken.get("settings", {})):
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
    refuse_unfit_broker()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_redis_that_evicts_is_no_broker(broker: PrivateRedis, policy: str) -> None:
    set_policy(broker, policy)
    (found,) = check_broker()
    assert (found.id, found.is_serious()) == ("sagas.E107", True)
    assert policy in found.msg
    assert found.hint is not None
    assert "CONFIG SET maxmemory-policy noeviction" in found.hint
    with pytest.raises(SystemExit, match=r"does not start.*E107.*CONFIG SET"):
        refuse_unfit_broker()


def test_a_broker_that_is_away_is_no_reason_not_to_start(
    broker: PrivateRedis, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()
    (found,) = check_broker()
    assert (found.id, found.is_serious()) == ("sagas.W108", False)
    refuse_unfit_broker()
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


def test_only_a_deployment_asks_the_broker(broker: PrivateRedis) -> None:
    set_policy(broker, "allkeys-lru")
    deployed = run_checks(tags=["sagas"], include_deployment_checks=True)
    assert "sagas.E107" in {message.id for message in deployed}
    assert "sagas.E107" not in {message.id for message in run_checks(tags=["sagas"])}

"""The engines of a test session, and the fixtures for tests that start processes of their own.

Engines that the environment does not name are started once, in a private directory, by the process
that pytest runs in; pytest-xdist's workers inherit their addresses. Each worker has a test database
of its own, and in Redis a prefix and (in an embedded one) databases of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import django
import pytest
from redis import Redis

from project.engines import Engines
from project.supervisor import Supervisor
from project.world import World
from tests import services

if TYPE_CHECKING:
    from sagas.define.saga import Definition

_EMBEDDED_REDIS = "TESTS_EMBEDDED_REDIS"  # tells pytest-xdist's workers; empty with outside ones


class _Session:
    """The embedded engines of this session and their directory."""

    def __init__(self) -> None:
        self._var = Path(tempfile.mkdtemp(prefix="sagas-tests-"))
        self._engines = Engines(self._var, os.environ, Supervisor())
        os.environ.update(self._engines.addresses)
        embedded = {"BROKER_URL", "REDIS_URL"} & self._engines.addresses.keys()
        os.environ[_EMBEDDED_REDIS] = " ".join(embedded)
        os.environ["INTEGRATIONS_PRIVATE_HOSTS"] = "127.0.0.1"  # stand-ins for partners
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)  # see _read_settings

    def end(self) -> None:
        self._engines.stop()
        shutil.rmtree(self._var, ignore_errors=True)


_SESSION = pytest.StashKey[_Session]()


def pytest_report_header() -> list[str]:
    return list(services.header())


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # A shell that starts us in the background has us ignore it, and so all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if missing := services.absent():
        raise pytest.UsageError(f"CI is set, and these do not answer: {', '.join(missing)}.")
    worker = getattr(config, "workerinput", {})
    if not worker:
        config.stash[_SESSION] = _Session()
    os.environ["REDIS_PREFIX"] = f"test:{worker.get('testrunuid', uuid4().hex)}:{_number(worker)}:"
    for place, name in enumerate(("BROKER_URL", "REDIS_URL")):
        if name in os.environ[_EMBEDDED_REDIS]:
            database = 2 * _number(worker) + place
            os.environ[name] = re.sub(r"/\d+$", f"/{database}", os.environ[name])
    if config.getoption("dist", "no") == "no":
        _read_settings()


@pytest.fixture(autouse=True)
def _people_are_not_audited(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test makes users and logs in on its way; one that is about that asks for people_audited."""
    if "people_audited" not in request.fixturenames:
        from sagas.operate import people

        monkeypatch.setattr(people, "_note", lambda *_, **__: None)


@pytest.fixture
def people_audited() -> None:
    """Whoever logs in or is given rights is in the audit, as outside of tests."""


_PROJECT_SAGAS: list[Definition] = []  # before any test module was imported


def _read_settings() -> None:
    """Here and not in pyproject.toml, where pytest-django would find them before the addresses.

    For the same reason not in a process that only starts pytest-xdist's workers: they inherit.
    """
    from sagas.define.registry import all_sagas

    os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
    django.setup()
    _PROJECT_SAGAS.extend(all_sagas())


@pytest.fixture
def drawn_seed(pytestconfig: pytest.Config) -> int:
    """A seed that no run of the suite has had before: pytest's header names it.

    ``--randomly-seed`` repeats it, and shuffles the tests as then.
    """
    return int(pytestconfig.getoption("randomly_seed", 1))


def _number(worker: dict[str, str]) -> int:
    """0 without pytest-xdist, 1 for its worker gw0, and so on."""
    return int(worker["workerid"].removeprefix("gw")) + 1 if worker else 0


def pytest_unconfigure(config: pytest.Config) -> None:
    for name in ("BROKER_URL", "REDIS_URL"):
        if os.environ.get(name, "").startswith("redis"):
            _forget_keys(os.environ[name])
    if session := config.stash.get(_SESSION, None):
        session.end()


def _forget_keys(url: str) -> None:
    """Leave nothing behind in a Redis that others use too."""
    with Redis.from_url(url) as client:
        for key in client.scan_iter(f"{os.environ['REDIS_PREFIX']}*"):
            client.delete(key)


@pytest.fixture(autouse=True)
def _unknown_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's database is new, so its worker has not beaten yet."""
    from sagas.run import heartbeat

    monkeypatch.setattr(heartbeat, "_beaten", None)


@pytest.fixture(autouse=True)
def _broker_that_takes_messages() -> None:
    """What one test's broker refused is no reason not to publish in the next."""
    from sagas.run.publishing import breaker

    breaker.reset()


@pytest.fixture
def project_sagas_only() -> Iterator[None]:
    """No saga is known that other modules of tests define, and none stays that this one does."""
    from sagas.define import registry

    with registry.isolated():
        registry._sagas.clear()
        for saga in _PROJECT_SAGAS:
            registry.register(saga)
        yield


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment for processes that a test starts: ours, on the test database."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    address = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}")
    return {**os.environ, "DATABASE_URL": address.geturl()}


@pytest.fixture
def world(process_environment: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """A `World` on the test database: start of it what the test needs."""
    with World(tmp_path, process_environment) as world:
        yield world

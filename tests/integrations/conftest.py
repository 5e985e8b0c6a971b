"""One sandbox per test process, with a ledger of its own; tests stay apart by their references."""

import json
import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.conf import settings as django_settings

from integrations.http import pool
from integrations.sandbox.process import RunningSandbox, running_sandbox


@pytest.fixture(autouse=True)
def _fresh_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call meets just what its test has prepared: no second try hides that, and what partners did
    in other tests shuts nothing. Tests of the policies themselves say otherwise.
    """
    plain = {
        "retry": {"tries": 1},
        "breaker": {"minimum": 1_000_000},
        "rate": {"pause": 1e-6, "longest": 1e-6},
    }
    monkeypatch.setenv("INTEGRATIONS_RESILIENCE", json.dumps({"*": plain}))
    own = f"{os.environ['REDIS_PREFIX']}{uuid4().hex}:"
    monkeypatch.setattr(django_settings, "REDIS_PREFIX", own)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "ledger.sqlite3") as sandbox:
        yield sandbox
        pool.client().close()
        pool.client.cache_clear()


@pytest.fixture
def sandbox(running: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """The sandbox as the environment's partners, going right again after the test."""
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    yield running
    running.clear_faults()


@pytest.fixture
def reference() -> str:
    """A business reference that no other test uses."""
    return f"order:{uuid4().hex}"

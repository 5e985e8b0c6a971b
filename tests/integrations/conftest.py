"""One sandbox per test process, with a ledger of its own; tests stay apart by their references."""

import json
import os
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from django.conf import settings as django_settings

from integrations.egress import addresses
from integrations.http import pool
from integrations.sandbox.process import RunningSandbox, running_sandbox
from tests.integrations.egress.resolver import Resolver, resolving

SetEgress = Callable[..., None]


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
        _forget_client()


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


@pytest.fixture
def new_client() -> Iterator[None]:
    """The client is made anew in the test, by the environment that it has prepared."""
    _forget_client()
    yield
    _forget_client()


def _forget_client() -> None:
    pool.client().close()
    pool.client.cache_clear()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A name server in the place of `getaddrinfo`."""
    with resolving(monkeypatch) as resolver:
        yield resolver


@pytest.fixture
def set_egress(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetEgress]:
    """Says how calls leave: `set_egress(private_hosts="a.internal", egress_proxy="")`."""

    def set_(**settings: str) -> None:
        for name, value in settings.items():
            monkeypatch.setenv(f"INTEGRATIONS_{name.upper()}", value)
        addresses.settings.cache_clear()

    yield set_
    addresses.settings.cache_clear()

"""localstripe: a stand-in for Stripe that others wrote, lest ours only pleases itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from django.conf import settings as django_settings

from integrations.conf import PaymentsSettings
from integrations.http import pool
from integrations.payments.client import StripePayments
from integrations.sandbox.process import RunningSandbox, running_sandbox
from tests.contract.consumer import ENVIRONMENT

UNKNOWN_TO_IT = ("automatic_payment_methods", "error_on_requires_action")
"""What our connector sends, Stripe documents and localstripe 1.15 refuses."""


@contextmanager
def running_localstripe(directory: Path, *ignored: str) -> Iterator[str]:
    """The address of a localstripe that keeps its state in `directory` and ignores parameters."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.contract.localstripe_server", *ignored],
        env={**os.environ, "TMPDIR": str(directory)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


@pytest.fixture(scope="session")
def localstripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a localstripe that takes what our connector sends."""
    with running_localstripe(tmp_path_factory.mktemp("localstripe"), *UNKNOWN_TO_IT) as address:
        yield address


@pytest.fixture
def payments(localstripe: str) -> StripePayments:
    return StripePayments(
        PaymentsSettings(payments_api_base=localstripe, payments_api_key="sk_test_12345")
    )


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox") / "ledger.sqlite3") as sandbox:
        yield sandbox
        pool.client().close()
        pool.client.cache_clear()


@pytest.fixture
def sandbox(running: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """The sandbox as the environment's partners, having forgotten what was before."""
    for name, value in running.environment().items():
        monkeypatch.setenv(name, value)
    running.reset()
    return running


@pytest.fixture(autouse=True)
def _plain_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call is one request, whatever partners did in other tests."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    own = f"{os.environ['REDIS_PREFIX']}{uuid4().hex}:"
    monkeypatch.setattr(django_settings, "REDIS_PREFIX", own)

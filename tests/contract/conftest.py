"""localstripe: a stand-in for Stripe that others wrote, lest ours only pleases itself."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from integrations.conf import PaymentsSettings
from integrations.payments.client import StripePayments

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

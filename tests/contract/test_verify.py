"""The command as it is run, with the sandbox for a vendor."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from integrations.sandbox.process import API_KEY, RunningSandbox
from tests.contract.consumer import ENVIRONMENT


def run(
    partner: str, address: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    named = {n: v for n, v in os.environ.items() if not n.startswith("INTEGRATIONS_")}
    return subprocess.run(
        [sys.executable, "-m", "tests.contract.verify", partner, "--address", address],
        env={**named, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_with_a_test_key_the_pact_is_held_against_an_address(running: RunningSandbox) -> None:
    done = run("payments", running.address, {"INTEGRATIONS_PAYMENTS_API_KEY": API_KEY})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a payment to take" in done.stdout
    assert "a payment to hold while it is overloaded" in done.stdout.partition("Left out")[2]
    assert API_KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({}, "INTEGRATIONS_PAYMENTS_API_KEY: Field required"),
        ({"INTEGRATIONS_PAYMENTS_API_KEY": "sk_live_1"}, "no key of Stripe's test mode"),
        ({"INTEGRATIONS_PAYMENTS_API_KEY": "rk_live_1"}, "no key of Stripe's test mode"),
    ],
)
def test_without_a_test_key_nothing_is_asked(
    running: RunningSandbox, environment: dict[str, str], why: str
) -> None:
    before = len(running.ledger.arrivals())
    done = run("payments", running.address, environment)
    assert done.returncode == 2
    assert why in done.stderr
    assert "live_1" not in done.stdout + done.stderr
    assert len(running.ledger.arrivals()) == before


def test_an_address_without_encryption_is_refused() -> None:
    done = run("payments", "http://api.stripe.com", {"INTEGRATIONS_PAYMENTS_API_KEY": API_KEY})
    assert done.returncode == 2
    assert "is no address of the form https://host" in done.stderr

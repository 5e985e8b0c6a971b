"""The command, with the sandbox for a vendor."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from integrations.sandbox.process import API_KEY, RunningSandbox
from tests.contract import verify
from tests.contract.consumer import ENVIRONMENT


def test_with_a_test_key_the_pact_is_held_against_an_address(running: RunningSandbox) -> None:
    named = {n: v for n, v in os.environ.items() if not n.startswith("INTEGRATIONS_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.contract.verify"),
            *("payments", "--address", running.address),
        ],
        env={**named, **ENVIRONMENT, "INTEGRATIONS_PAYMENTS_API_KEY": API_KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "a payment to take" in done.stdout
    assert "a payment to hold while it is overloaded" in done.stdout.partition("Left out")[2]
    assert API_KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("", "INTEGRATIONS_PAYMENTS_API_KEY"),
        ("sk_live_1", "no key of Stripe's test mode"),
        ("rk_live_1", "no key of Stripe's test mode"),
    ],
)
def test_without_a_test_key_nothing_is_asked(
    running: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
    why: str,
) -> None:
    monkeypatch.setenv("INTEGRATIONS_PAYMENTS_API_KEY", key)
    monkeypatch.setenv("INTEGRATIONS_PAYMENTS_API_BASE", "")  # set by the command, and restored
    before = len(running.ledger.arrivals())
    assert verify.main(["payments", "--address", running.address]) == 2
    told = capsys.readouterr()
    assert why in told.err
    assert "live_1" not in told.out + told.err
    assert len(running.ledger.arrivals()) == before


def test_an_address_without_encryption_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        verify.main(["payments", "--address", "http://api.stripe.com"])
    assert "is no address of the form https://host" in capsys.readouterr().err

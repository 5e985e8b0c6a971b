import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from integrations.sandbox.process import running_sandbox

# Starts a sandbox, tells its id, and waits to be killed.
PARENT = """
import sys, time
from integrations.sandbox.process import running_sandbox
with running_sandbox(sys.argv[1]) as sandbox:
    print(sandbox.pid, flush=True)
    time.sleep(60)
"""


def test_a_sandbox_runs_for_the_length_of_the_block(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "ledger.sqlite3") as sandbox:
        assert httpx2.get(f"{sandbox.address}/control/ledger").status_code == 200
        assert sandbox.environment()["INTEGRATIONS_PAYMENTS_API_BASE"] == sandbox.address
    with pytest.raises(ProcessLookupError):
        os.kill(sandbox.pid, 0)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{sandbox.address}/control/ledger")
    assert sandbox.ledger.effects() == []


def test_a_sandbox_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "ledger.sqlite3")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        sandbox = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
        # A pidfd becomes readable when its process ends.
        import select

        ended, _, _ = select.select([sandbox], [], [], 30)
        os.close(sandbox)
    assert ended


def test_what_was_answered_survives_the_sandboxs_sudden_death(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "ledger.sqlite3") as sandbox:
        httpx2.post(
            f"{sandbox.address}/shipping/labels",
            json={"address": "1 Main Street", "reference": "order:1"},
            headers={"Idempotency-Key": "k"},
        ).raise_for_status()
        os.kill(sandbox.pid, signal.SIGKILL)
    assert [effect.kind for effect in sandbox.ledger.effects()] == ["label_printed"]


def test_a_sandbox_that_cannot_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="did not start"):  # noqa: SIM117
        with running_sandbox(tmp_path / "no such directory" / "ledger.sqlite3"):
            pass


def test_a_reset_forgets_everything(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "ledger.sqlite3") as sandbox, httpx2.Client() as http:

        def reserve(key: str) -> httpx2.Response:
            return http.post(
                f"{sandbox.address}/inventory/reservations",
                json={"sku": "tea", "quantity": 1, "reference": "order:1"},
                headers={"Idempotency-Key": key},
            )

        sandbox.set_stock("tea", 0)
        assert reserve("k").status_code == 409
        sandbox.add_fault("unavailable-503")
        sandbox.reset()
        assert sandbox.ledger.arrivals() == []
        assert reserve("k").status_code == 201

"""Starts a sandbox as a child process and speaks to its control endpoints."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from integrations.sandbox import analytics, google, slack, webhooks
from integrations.sandbox.certificate import certificate
from integrations.sandbox.grants import CLIENT_ID, CLIENT_SECRET
from integrations.sandbox.hubspot import ACCESS_TOKEN
from integrations.sandbox.ledger import Ledger

_ROOT = Path(__file__).resolve().parents[2]
API_KEY = "sk_test_sandbox"


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that is up: where it listens, its ledger, and what to make go wrong."""

    address: str
    smtp: tuple[str, int]
    ledger: Ledger
    pid: int

    @property
    def certificate(self) -> Path:
        """What its mail sink shows to who asks for STARTTLS."""
        return certificate(self.ledger.path)

    def environment(self) -> dict[str, str]:
        """The INTEGRATIONS_* variables that point every connector at this sandbox."""
        host, port = self.smtp
        return {
            "INTEGRATIONS_PRIVATE_HOSTS": host,
            "INTEGRATIONS_PAYMENTS_API_BASE": self.address,
            "INTEGRATIONS_PAYMENTS_API_KEY": API_KEY,
            "INTEGRATIONS_INVENTORY_URL": f"{self.address}/inventory",
            "INTEGRATIONS_SHIPPING_URL": f"{self.address}/shipping",
            "INTEGRATIONS_HUBSPOT_URL": self.address,
            "INTEGRATIONS_HUBSPOT_ACCESS_TOKEN": ACCESS_TOKEN,
            "INTEGRATIONS_SALESFORCE_URL": self.address,
            "INTEGRATIONS_SALESFORCE_CLIENT_ID": CLIENT_ID,
            "INTEGRATIONS_SALESFORCE_CLIENT_SECRET": CLIENT_SECRET,
            "INTEGRATIONS_ENCRYPTION_KEYS": _encryption_key(self.ledger.path),
            "INTEGRATIONS_SMTP_HOST": host,
            "INTEGRATIONS_SMTP_PORT": str(port),
            "INTEGRATIONS_SMTP_SECURITY": "none",
            "INTEGRATIONS_SMTP_LOG_URL": f"{self.address}/messages",
            "INTEGRATIONS_ANALYTICS_URL": self.address,
            "INTEGRATIONS_ANALYTICS_MEASUREMENT_ID": analytics.MEASUREMENT_ID,
            "INTEGRATIONS_ANALYTICS_API_SECRET": analytics.API_SECRET,
            "INTEGRATIONS_SLACK_WEBHOOK_URL": f"{self.address}{slack.PATH}{slack.TOKEN}",
            "INTEGRATIONS_ACCOUNTS_CREDENTIALS": str(google.credentials(self.ledger.path)),
            "INTEGRATIONS_ACCOUNTS_URL": self.address,
            "INTEGRATIONS_ACCOUNTS_TOKEN_URL": f"{self.address}{google.TOKEN_PATH}",
            **{
                f"INTEGRATIONS_WEBHOOKS_{source.upper()}_SECRETS": webhooks.WHSEC
                for source in webhooks.SENDERS
            },
        }

    def add_fault(self, fault: str, **rule: Any) -> None:
        """Let requests go wrong: `rule` holds the fields of `integrations.sandbox.faults.Rule`."""
        self.control("POST", "faults", {"fault": fault, **rule})

    def clear_faults(self) -> None:
        """Let every request go right again."""
        self.control("DELETE", "faults")

    def set_stock(self, sku: str, quantity: int) -> None:
        """Say how many there are of an article."""
        self.control("POST", "stock", {sku: quantity})

    def set_capacity(self, service: str, slots: int, seconds: float) -> None:
        """Let a service work on `slots` requests at once, `seconds` on each; others queue."""
        self.control("POST", "capacity", {"service": service, "slots": slots, "seconds": seconds})

    def set_tokens(self, service: str, **how: Any) -> str:
        """Say how long a service's tokens live, and whether refresh tokens are for one use.

        Gives a refresh token, as a person's consent would.
        """
        answer = self.control("POST", "tokens", {"service": service, **how})
        return str(answer["refresh_token"])

    def advance(self, seconds: float) -> None:
        """Let time pass: holds on cards lapse after seven days, keys are forgotten after one."""
        self.control("POST", "clock", {"seconds": seconds})

    def tell(self, site: str, source: str, *events: dict[str, Any], **how: Any) -> list[int]:
        """Have a partner call `site` with signed events; the statuses that it is answered.

        `how` holds `copies` of each and whether to `shuffle` them, as `webhooks.deliver` says.
        """
        told = {"site": site, "source": source, "events": events, **how}
        statuses: list[int] = self.control("POST", "webhooks", told)
        return statuses

    def reset(self) -> None:
        """Forget everything: rules, keys, objects, ledger."""
        self.control("POST", "reset")

    def control(self, method: str, name: str, data: dict[str, Any] | None = None) -> Any:
        """Call a control endpoint and return its result."""
        request = Request(
            f"{self.address}/control/{name}",
            method=method,
            data=json.dumps(data).encode() if data is not None else None,
            headers={"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)["result"]


@contextmanager
def running_sandbox(
    ledger: Path | str, port: int = 0, smtp_port: int = 0
) -> Iterator[RunningSandbox]:
    """A sandbox that records in `ledger`, for the length of the block.

    It stops with the block, and also if this process is killed.
    """
    path = Path(ledger).resolve()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "integrations.sandbox"),
            *("--ledger", str(path), "--parent", str(os.getpid())),
            *("--port", str(port), "--smtp-port", str(smtp_port)),
        ],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield _announced(process, path)
    finally:
        _stop(process)


def _encryption_key(ledger: Path) -> str:
    """A key of its own for everyone who uses this ledger, and for nobody else."""
    path = ledger.with_name(f"{ledger.stem}.key")
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    return path.read_text()


def _announced(process: subprocess.Popen[str], ledger: Path) -> RunningSandbox:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"The sandbox did not start; it exited with {process.wait()}.")
    found = json.loads(line)
    host, port = found["http"]
    smtp_host, smtp_port = found["smtp"]
    return RunningSandbox(
        f"http://{host}:{port}", (smtp_host, smtp_port), Ledger(ledger), process.pid
    )


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()

"""A customer: fills in the shop's form and waits for the order's run to end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from uuid import UUID

import httpx2

from integrations.models import SAGA, key_of
from integrations.sandbox.process import RunningSandbox
from project.demo.scenarios import Scenario
from sagas.models import Run
from sagas.states import TERMINAL_RUNS, RunStatus, StepStatus

PATIENCE = 120.0
"""Seconds after which an order that does not end counts as failed."""

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]+)"')
_IDLE = (StepStatus.PENDING, StepStatus.SUCCEEDED, StepStatus.SKIPPED)
_ENDED = {*TERMINAL_RUNS, RunStatus.NEEDS_ATTENTION}


def play(
    scenario: Scenario,
    shop: str,
    sandbox: RunningSandbox,
    tell: Callable[[str], None] = lambda line: None,
) -> Run:
    """Order under the scenario's faults and wait for the end; tell every change on the way."""
    for rule in scenario.faults:
        sandbox.add_fault(**rule)
    try:
        return _watch(order(shop, scenario.card), tell)
    finally:
        sandbox.clear_faults()


def order(shop: str, card: str) -> UUID:
    """Send the shop's form, as a browser does; give the order's id. Raises HTTPError."""
    entries = {
        "sku": "mug",
        "quantity": "2",
        "email": "ann@example.com",
        "address": "1 Main Street, Springfield",
        "payment_method": card,
    }
    with httpx2.Client(base_url=shop, timeout=30) as browser:
        form = browser.get("/").raise_for_status().text
        answer = browser.post("/", data={**dict(_HIDDEN.findall(form)), **entries})
    if answer.status_code != httpx2.codes.FOUND:
        answer.raise_for_status()
    return UUID(answer.headers["location"].strip("/").rpartition("/")[2])


def _watch(order_id: UUID, tell: Callable[[str], None]) -> Run:
    began, told = time.monotonic(), ""
    while True:
        run = Run.objects.get(saga=SAGA, business_key=key_of(order_id))
        waited = time.monotonic() - began
        if run.status in _ENDED or waited > PATIENCE:
            return run
        if (now := _under_way(run)) != told:
            told = now
            tell(f"{waited:5.1f} s  {now}")
        time.sleep(0.1)


def _under_way(run: Run) -> str:
    steps = run.steps.exclude(status__in=_IDLE).order_by("position")
    doing = [f"{step.name} {step.status} (try {max(step.tries, 1)})" for step in steps]
    return f"{run.status}: {', '.join(doing) or 'waiting for a worker'}".replace("_", " ")

"""Who starts runs: a customer with a form of the shop's, or a partner with a webhook."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import httpx2

from integrations.models import key_of as order_key
from integrations.sagas.customer_registration import key_of as registration_key
from integrations.sagas.lead_qualification import key_of as lead_key
from integrations.sagas.parcel_delivery import key_of as parcel_key
from integrations.sandbox.process import RunningSandbox
from project.demo.scenarios import Scenario
from sagas.models import Run
from sagas.states import TERMINAL_RUNS, Direction, RunStatus, StepStatus

PATIENCE = 120.0
"""Seconds after which a run that does not end counts as failed."""

_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]+)"')
_IDLE = (StepStatus.PENDING, StepStatus.SUCCEEDED, StepStatus.SKIPPED)
_ENDED = {*TERMINAL_RUNS, RunStatus.NEEDS_ATTENTION}


def play(
    scenario: Scenario,
    shop: str,
    sandbox: RunningSandbox,
    tell: Callable[[str], None] = lambda line: None,
) -> Run:
    """Start the run under the scenario's faults and wait for its end; tell changes on the way."""
    for rule in scenario.faults:
        sandbox.add_fault(**rule)
    try:
        return _watch(scenario.saga, _SENDERS[scenario.saga](shop, scenario, sandbox), tell)
    finally:
        sandbox.clear_faults()


def order(shop: str, scenario: Scenario, sandbox: RunningSandbox) -> str:
    """Order something; give the run's business key. Raises HTTPError."""
    entries = {
        "sku": "mug",
        "quantity": "2",
        "email": "ann@example.com",
        "address": "1 Main Street, Springfield",
        "payment_method": scenario.card,
    }
    return order_key(_send(shop, "/", entries))


def register(shop: str, scenario: Scenario, sandbox: RunningSandbox) -> str:
    """Sign up, each time as somebody else; give the run's business key. Raises HTTPError."""
    entries = {"name": "Ann Smith", "email": f"ann.{uuid4().hex[:8]}@example.com"}
    return registration_key(_send(shop, "/sign-up/", entries))


def ask(shop: str, scenario: Scenario, sandbox: RunningSandbox) -> str:
    """Ask for an offer, each time as somebody else; give the run's business key.

    Raises HTTPError.
    """
    entries = {
        "name": "Ann Lee",
        "email": f"ann.{uuid4().hex[:8]}@lee.example",
        "company": "Lee Ltd",
        "employees": "500",
        "budget": scenario.budget,
    }
    return lead_key(_send(shop, "/offers/", entries))


def receive(shop: str, scenario: Scenario, sandbox: RunningSandbox) -> str:
    """Order something, and let the carrier tell of its parcel; give that run's business key."""
    ordered = _watch("order-fulfilment", order(shop, scenario, sandbox), lambda line: None)
    label: Any = ordered.steps.get(name="print_label", direction=Direction.FORWARD).result
    parcel = {
        "tracking_number": label["tracking_number"],
        "reference": ordered.business_key,
    }
    events = [
        {
            "id": f"msg_{kind}_{parcel['tracking_number']}",
            "body": {"type": kind, "timestamp": "2026-01-01T12:00:00Z", "data": parcel},
        }
        for kind in ("parcel.delivered", "parcel.collected")
    ]
    sandbox.tell(shop, "shipping", *events, copies=2)
    return parcel_key(parcel["tracking_number"])


_SENDERS: dict[str, Callable[[str, Scenario, RunningSandbox], str]] = {
    "order-fulfilment": order,
    "customer-registration": register,
    "lead-qualification": ask,
    "parcel-delivery": receive,
}


def _send(shop: str, address: str, entries: dict[str, str]) -> UUID:
    """Send the form at an address, as a browser does; give the id in the address it leads to."""
    with httpx2.Client(base_url=shop, timeout=30) as browser:
        form = browser.get(address).raise_for_status().text
        answer = browser.post(address, data={**dict(_HIDDEN.findall(form)), **entries})
    if answer.status_code != httpx2.codes.FOUND:
        answer.raise_for_status()
    return UUID(answer.headers["location"].strip("/").rpartition("/")[2])


def _watch(saga: str, key: str, tell: Callable[[str], None]) -> Run:
    began, told = time.monotonic(), ""
    while True:
        run = Run.objects.filter(saga=saga, business_key=key).first()
        waited = time.monotonic() - began
        if run is not None and (run.status in _ENDED or waited > PATIENCE):
            return run
        if run is None and waited > PATIENCE:
            raise TimeoutError(f"Nothing has started a run of {saga} for {key}.")
        if (now := _under_way(run)) != told:
            told = now
            tell(f"{waited:5.1f} s  {now}")
        time.sleep(0.1)


def _under_way(run: Run | None) -> str:
    if run is None:
        return "the webhook waits for a worker"
    steps = run.steps.exclude(status__in=_IDLE).order_by("position")
    doing = [f"{step.name} {step.status} (try {max(step.tries, 1)})" for step in steps]
    return f"{run.status}: {', '.join(doing) or 'waiting for a worker'}".replace("_", " ")

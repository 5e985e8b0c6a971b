"""The story of a quota: a partner says that its calls are used up, and real workers wait for more.

``QUOTA_RUNS=100 QUOTA_SECONDS=30 pytest tests/stories/test_quotas.py -s`` is the long form.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from bench.partners.arrivals import busiest
from integrations.sagas.customer_registration import Registration, customer_registration, key_of
from integrations.sandbox.process import RunningSandbox
from project.world import World
from sagas.api import lift, start
from sagas.models import AuditEntry, Hold, Run, Step
from sagas.operate.hold import waiting_under
from sagas.states import TERMINAL_RUNS, RunStatus
from tests.stories.conftest import QUICK
from tests.stories.test_holds import Ann
from tests.stories.waiting import history, until

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = int(os.environ.get("QUOTA_RUNS", "12"))
SECONDS = int(os.environ.get("QUOTA_SECONDS", "6"))
PER_SECOND, BURST = 10, 5
_RATES = {"hubspot": {"rate": {"per_second": PER_SECOND, "burst": BURST}}}
#: Of the steps that ask HubSpot, in each registration.
_ASKING = ("create_contact",)


@pytest.fixture
def world(process_environment: dict[str, str], tmp_path: Path) -> Iterator[World]:
    environment = {
        **process_environment,
        "SAGAS": json.dumps({**QUICK, "LEASE_SECONDS": 5}),
        "INTEGRATIONS_RESILIENCE": json.dumps(_RATES),
    }
    with World(tmp_path, environment) as world:
        yield world


@pytest.fixture
def partners(world: World) -> RunningSandbox:
    partners = world.partners()
    world.workers({"one": ["anonymous"], "two": ["anonymous"]}, processes=2)
    return partners


def test_a_quota_of_some_seconds_costs_nobody_an_attempt_and_drains_under_the_limit(
    partners: RunningSandbox,
) -> None:
    partners.add_fault(f"quota-spent;retry-after={SECONDS}", service="hubspot")
    runs = _registrations()
    until(lambda: _at("create_contact") == RUNS, 120)
    partners.clear_faults()
    back = time.time()
    _all_succeed(runs)
    holds = list(Hold.objects.order_by("id"))  # several only if a slow machine outlasted the first
    for ended in holds:
        assert (ended.source, ended.lifted_by) == ("quota", "system:quota")
        assert ended.ends_at is not None
        assert ended.lifted_at is not None
        assert ended.ends_at - ended.placed_at == timedelta(seconds=SECONDS)
        assert ended.lifted_at >= ended.ends_at
    audited = list(AuditEntry.objects.order_by("number").values_list("actor", "verb"))
    assert audited == [("system:quota", "hold"), ("system:quota", "lift")] * len(holds)
    moments = [a.at for a in partners.ledger.arrivals() if a.service == "hubspot"]
    told = sum(a.status == 429 for a in partners.ledger.arrivals())
    assert 1 <= told <= 4 * len(holds), "of two workers with two processes each asked once"
    peak = busiest([moment for moment in moments if moment >= back])
    assert 0 < peak <= PER_SECOND + BURST
    print(
        f"\n{RUNS} registrations, a quota of {SECONDS} s: 0 compensated, 0 attempts spent, {told} "
        f"calls told of it, {len(holds)} hold; then at most {peak} calls in a second "
        f"(rate {PER_SECOND}, burst {BURST}), all done {time.time() - back:.1f} s after the partner"
        " was back"
    )


def test_a_quota_of_a_day_holds_until_then_and_an_operator_may_lift_it_before(
    partners: RunningSandbox, world: World
) -> None:
    partners.add_fault("quota-spent;retry-after=86400", service="hubspot")
    runs = _registrations()
    until(lambda: _at("create_contact") == RUNS)
    placed = Hold.objects.get()
    until(lambda: waiting_under(placed) == RUNS)
    assert placed.ends_at is not None
    assert abs(placed.ends_at - timezone.now() - timedelta(days=1)) < timedelta(minutes=5)
    assert f"{placed.ends_at:%Y-%m-%d %H:%M:%S}" in world.manage("sagas", "holds")
    assert lift(placed.pk, by=Ann(), reason="they say they gave us more") == RUNS
    until(lambda: Hold.objects.count() == 2, 60)  # they had not: the first that asked holds again
    partners.clear_faults()
    lift(Hold.objects.get(lifted_at=None).pk, by=Ann(), reason="now they have")
    _all_succeed(runs)
    print(f"\n{RUNS} registrations, a quota of a day: 0 compensated, 0 attempts spent")


def _registrations() -> list[UUID]:
    found = []
    for number in range(RUNS):
        who = Registration(
            registration_id=uuid4(), name=f"Ann {number}", email=f"ann{number}@example.com"
        )
        key = key_of(who.registration_id)
        found.append(start(customer_registration, who, key=key).id)
    return found


def _at(step: str) -> int:
    """How many runs are at a step and wait there, with none of its tries spent."""
    waiting = Step.objects.filter(name=step, direction="forward", tries=0)
    return waiting.filter(status__in=("ready", "waiting")).count()


def _all_succeed(runs: list[UUID]) -> None:
    """Nothing was undone, and each step needed the one try that did it."""
    rest = {*TERMINAL_RUNS, RunStatus.NEEDS_ATTENTION}
    open_runs = Run.objects.exclude(status__in=rest)
    until(lambda: not open_runs.exists(), 120, lambda: history(open_runs[0].pk))
    for run_id in runs:
        assert Run.objects.get(id=run_id).status == RunStatus.SUCCEEDED, history(run_id)
    assert not Step.objects.filter(direction="backward").exists()
    assert set(Step.objects.filter(name__in=_ASKING).values_list("tries", flat=True)) == {1}

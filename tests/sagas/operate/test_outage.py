"""Which partners are out, since when, and how many runs wait for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from sagas.define.saga import Definition
from sagas.models import Hold, Run
from sagas.operate import outage as module
from sagas.operate.outage import Outage, outages, standing_at
from sagas.signals import Health, PartnerHealth
from tests.sagas.admin.people import scoped
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root")


@pytest.fixture(autouse=True)
def declared(known: Callable[[Definition], Definition]) -> None:
    steps = [simple("a", partner="bank"), simple("b", partner="post"), simple("c")]
    for name in ("flow", "other"):
        known(flow(steps, name=name))


def down(name: str = "bank", **values: Any) -> PartnerHealth:
    return PartnerHealth(name, Health.DOWN, "the breaker is open", **values)


def held(target: str = "bank", **values: Any) -> Hold:
    told = {"kind": "partner", "target": target, "reason": "why", "placed_by": "ann"}
    return Hold.objects.create(**told | values)


def stand(name: str, at: str, key: str = "", **run: Any) -> Run:
    made = a_run(key or f"{name} {at}", **run)
    flies = {"attempt": 1, "limit_at": ago()} if at == "in_flight" else {}
    a_step(made, at, name=name, **flies)
    return made


def found(by: User, *health: PartnerHealth) -> list[Outage]:
    return outages(by, Hold.objects.filter(lifted_at=None), health)


def test_a_partner_that_is_well_is_no_outage(root: User) -> None:
    assert (
        found(root, PartnerHealth("bank", Health.DEGRADED), PartnerHealth("post", Health.OK)) == []
    )


def test_what_is_down_is_told_with_the_runs_that_stand_at_its_steps(root: User) -> None:
    since, probe = ago(minutes=7), ago(seconds=-20)
    for status in ("ready", "waiting", "unknown", "in_flight"):
        stand("a", status)
    stand("a", "succeeded", "past it")
    stand("b", "ready", "at another")
    stand("a", "failed", "stopped", status="needs_attention")
    (one,) = found(root, down(since=since, probe_at=probe))
    assert (one.partner, one.since, one.probe_at) == ("bank", since, probe)
    assert (one.waiting, one.stopped, one.why) == (4, 1, "the breaker is open")


def test_a_hold_tells_since_when_at_the_latest_and_what_it_says_itself(root: User) -> None:
    began: datetime = ago(minutes=9)
    run = stand("a", "ready")
    ends = ago(hours=-1)
    held(source="quota", placed_at=began, ends_at=ends, probe=run.pk)
    (one,) = found(root, down(since=ago(minutes=1)))
    assert (one.since, one.until, one.through) == (began, ends, run.pk)
    assert (one.why, one.by) == ("why", "quota (automatic)")


def test_a_partner_that_somebody_holds_is_one_too(root: User) -> None:
    stand("a", "ready")
    held()
    Hold.objects.create(kind="queue", target="q", reason="why", placed_by="ann")
    (one,) = found(root)
    assert (one.partner, one.by, one.probe_at, one.waiting) == ("bank", "ann", None, 1)


def test_what_keeps_most_runs_waiting_comes_first(root: User) -> None:
    stand("b", "ready")
    assert [one.partner for one in found(root, down("bank"), down("post"))] == ["post", "bank"]


def test_counted_is_what_one_may_see() -> None:
    stand("a", "ready", "mine")
    stand("a", "ready", "theirs", saga="other")
    (one,) = found(scoped("clerk", "flow"), down())
    assert one.waiting == 1


def test_it_costs_one_statement_for_each_of_the_first(
    root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_COUNTED", 1)
    with counted() as statements:
        told = outages(root, [], [down("bank"), down("post"), down("unknown to us")])
    assert (len(told), len(statements)) == (3, 1)


def test_a_run_stands_at_a_partner_at_whose_step_it_is_or_which_stopped_it() -> None:
    stand("a", "ready", "turn")
    stand("a", "failed", "optional one that gave up")
    stand("a", "failed", "stopped", status="needs_attention")
    stand("a", "ready", "over", status="succeeded")
    there = standing_at(Run.objects.all(), "bank")
    assert sorted(there.values_list("business_key", flat=True)) == ["stopped", "turn"]
    assert not standing_at(Run.objects.all(), "nobody").exists()

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from sagas.define.saga import Definition
from sagas.models import Approval, Batch, Hold, Worker
from sagas.operate import overview as module
from sagas.operate.overview import Overview, overview
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
    for name in ("flow", "other"):
        known(flow([simple("a", queue="slow", partner="bank")], name=name))


def stage() -> None:
    """Something for each part, of two sagas."""
    for saga in ("flow", "other"):
        a_run(f"parked {saga}", "needs_attention", saga=saga)
        a_run(f"late {saga}", saga=saga, wake_at=ago(hours=2))
        run = a_run(f"flies {saga}", saga=saga, wake_at=ago(seconds=-9))
        a_step(run, "in_flight", attempt=1, limit_at=ago(hours=-1), worker="one")
        due = a_run(f"due {saga}", saga=saga, wake_at=ago(seconds=-9))
        a_step(due, due_at=ago(minutes=1))
        Hold.objects.create(kind="run", target=str(run.pk), reason="r", placed_by="ann")
        asked: dict[str, Any] = {
            "run": due.pk,
            "saga": saga,
            "verb": "cancel",
            "arguments": {},
            "reason": "r",
        }
        Approval.objects.create(**asked, imprint="seen", asked_by="ann")
    Hold.objects.create(kind="saga", target="third", reason="r", placed_by="ann")
    Hold.objects.create(kind="queue", target="elsewhere", reason="r", placed_by="ann")
    for name, minutes in (("one", -5), ("gone", 5)):
        until = ago(minutes=minutes)
        Worker.objects.create(name=name, host="h", pid=1, lease_until=until, queues=["slow"])
    batch = {"verb": "retry", "arguments": {}, "reason": "r", "matched": 2, "rate": 1}
    for status in ("running", "done"):
        Batch.objects.create(**batch, status=status, created_by="ann")


def keys(seen: Overview) -> dict[str, list[str]]:
    return {
        "attention": [run.business_key for run in seen.attention],
        "stuck": [run.business_key for run in seen.stuck],
    }


def test_everything_is_seen_by_who_may_see_all_sagas(root: User) -> None:
    stage()
    seen = overview(root)
    assert keys(seen) == {
        "attention": ["parked flow", "parked other"],
        "stuck": ["late flow", "late other"],
    }
    assert [saga.name for saga in seen.sagas] == ["flow", "other"]
    assert {q.name: q.due for q in seen.queues}["slow"] == 2
    workers = [(w.name, w.alive, w.flying, list(w.queues)) for w in seen.workers]
    assert workers == [("one", True, 2, ["slow"]), ("gone", False, 0, ["slow"])]
    assert sorted(held.hold.kind for held in seen.holds) == ["queue", "run", "run", "saga"]
    assert len(seen.approvals) == 2
    assert [batch.status for batch in seen.batches] == ["running"]
    assert "bank" in [partner.name for partner in seen.partners]


def test_only_what_is_of_ones_sagas_is_seen() -> None:
    stage()
    seen = overview(scoped("clerk", "flow"))
    assert keys(seen) == {"attention": ["parked flow"], "stuck": ["late flow"]}
    assert [saga.name for saga in seen.sagas] == ["flow"]
    assert {q.name: q.due for q in seen.queues}["slow"] == 1
    assert [w.flying for w in seen.workers] == [1, 0]
    assert sorted(held.hold.kind for held in seen.holds) == ["queue", "run"]
    assert [asked.saga for asked in seen.approvals] == ["flow"]
    assert list(seen.batches) == []  # of another person, on whatever


def test_a_hold_tells_how_many_runs_it_keeps_waiting(root: User) -> None:
    for key in "ab":
        a_step(a_run(key, wake_at=ago(seconds=1)), due_at=ago(seconds=1))
    run = a_run("c", saga="other")
    targets = {"saga": "flow", "queue": "slow", "partner": "bank", "run": str(run.pk)}
    for kind, target in targets.items():
        Hold.objects.create(kind=kind, target=target, reason="r", placed_by="ann")
    waiting = {held.hold.kind: held.waiting for held in overview(root).holds}
    assert waiting == {"saga": 2, "queue": 2, "partner": 2, "run": 1}


def test_the_oldest_are_shown_and_no_more_than_so_many(
    root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN", 2)
    for key in "abcd":
        a_run(f"parked {key}", "needs_attention")
        a_run(f"late {key}", wake_at=ago(hours=1))
    assert keys(overview(root)) == {
        "attention": ["parked a", "parked b"],
        "stuck": ["late a", "late b", "late c"],  # one more, to tell that there are more
    }


def test_a_hold_on_what_is_no_run_breaks_nothing() -> None:
    Hold.objects.create(kind="run", target="<script>", reason="r", placed_by="ann")
    assert list(overview(scoped("clerk", "flow")).holds) == []


def test_it_costs_as_many_statements_whether_there_is_little_or_much(root: User) -> None:
    a_run("stuck", wake_at=ago(hours=1))  # else nothing is asked of what is
    a_run("parked", "needs_attention")  # else it is not asked since when one is
    with counted() as few:
        overview(root)
    stage()
    with counted() as many:
        overview(root)
    assert len(many) == len(few) <= 16


def test_many_paused_runs_hide_no_other_hold_and_are_not_stuck(
    root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLDS", 3)
    Hold.objects.create(kind="queue", target="slow", reason="r", placed_by="ann")
    for key in "abcd":
        run = a_run(key, wake_at=ago(hours=1))
        Hold.objects.create(kind="run", target=str(run.pk), reason="r", placed_by="ann")
    seen = overview(root)
    assert [held.hold.kind for held in seen.holds] == ["queue", "run", "run"]
    assert keys(seen)["stuck"] == []


def test_a_hold_on_a_run_that_ended_all_the_same_holds_nothing(root: User) -> None:
    run = a_run("over", "succeeded")
    Hold.objects.create(kind="run", target=str(run.pk), reason="r", placed_by="ann")
    assert list(overview(root).holds) == []

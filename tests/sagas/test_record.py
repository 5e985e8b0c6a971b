"""Reading the record: a run as the planner sees it."""

from __future__ import annotations

from datetime import timedelta
from threading import Event as Flag
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from sagas import record
from sagas.define.outcome import RetryLater, Unknown
from sagas.errors import UnknownRun
from sagas.models import Hold, Run, Step
from sagas.states import Halt, RunStatus, StepStatus
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import (
    BACKWARD,
    FORWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    run_of,
    until_blocked,
)
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def test_a_run_is_read_with_its_steps_in_one_statement(known: Known) -> None:
    saga = known(flow(["a", "b", "c"]))
    run_id = begun(saga, Payload(number=7), key="order:1", deadline=timedelta(hours=1))
    with counted() as statements:
        view = record.read(run_id)
    assert len(statements) == 1
    assert (view.id, view.saga, view.version, view.fingerprint) == (
        run_id,
        "flow",
        1,
        saga.fingerprint,
    )
    assert (view.business_key, view.status, view.epoch, view.revision) == (
        "order:1",
        RunStatus.PENDING,
        1,
        0,
    )
    assert saga.restored(view.payload) == Payload(number=7)
    assert (view.halt, view.attention) == (Halt.NONE, "")
    assert view.deadline == run_of(run_id).deadline_at
    assert [row.name for row in view.rows(FORWARD)] == ["a", "b", "c"]
    assert view.rows(BACKWARD) == []


def test_everything_about_a_step_is_read_back(known: Known) -> None:
    run_id = begun(known(flow(["a", "b"])))
    Step.objects.filter(name="a").update(
        status="failed", attempt=9, tries=8, probes=7, losses=6, in_doubt=True, generation=5,
        result={"id": "ch_1"}, started_at=timezone.now() - timedelta(seconds=100),
    )  # fmt: skip
    found = record.read(run_id).steps[FORWARD, "a"]
    assert found.id == Step.objects.get(name="a").pk
    assert (found.status, found.attempt, found.tries, found.probes, found.losses) == (
        StepStatus.FAILED,
        9,
        8,
        7,
        6,
    )
    assert (found.in_doubt, found.generation, found.position) == (True, 5, 0)
    assert found.result == '{"id": "ch_1"}'
    assert found.elapsed == pytest.approx(100, abs=2)


def test_a_step_that_was_never_claimed_has_no_age(known: Known) -> None:
    assert record.read(begun(known(flow(["a"])))).steps[FORWARD, "a"].elapsed == 0


def test_what_is_due_is_decided_by_the_database(known: Known) -> None:
    actor = Actor()
    actor.answers["do a"] = RetryLater("busy", 50.0)
    run_id = begun(known(flow(actor.steps("a"))))
    assert record.read(run_id).steps[FORWARD, "a"].needs_worker
    carried(run_id, "a")
    assert not record.read(run_id).steps[FORWARD, "a"].needs_worker
    lapse(run_id)
    assert record.read(run_id).steps[FORWARD, "a"].needs_worker


def test_a_lease_that_is_over_has_lapsed(known: Known) -> None:
    actor = Actor()
    seen: list[bool] = []

    def look(run: object) -> Unknown:
        seen.append(record.read(run_id).steps[FORWARD, "a"].needs_worker)
        lapse(run_id)
        seen.append(record.read(run_id).steps[FORWARD, "a"].needs_worker)
        return Unknown("reset")

    actor.answers["do a"] = look
    run_id = begun(known(flow(actor.steps("a"))))
    carried(run_id, "a")
    assert seen == [False, True]
    assert not record.read(run_id).steps[FORWARD, "a"].needs_worker


def test_the_time_is_the_databases(known: Known) -> None:
    view = record.read(begun(known(flow(["a"]))))
    assert view.now is not None
    assert abs(view.now - timezone.now()) < timedelta(seconds=5)


def test_a_run_that_does_not_exist_is_unknown() -> None:
    run_id = uuid4()
    with pytest.raises(UnknownRun, match=f"No run has the id {run_id}"):
        record.read(run_id)
    with pytest.raises(UnknownRun), transaction.atomic():
        record.read_locked(run_id)


@pytest.mark.django_db(transaction=True)
def test_a_locked_reading_sees_what_the_one_before_has_committed(known: Known) -> None:
    run_id, locked = begun(known(flow(["a"]))), Flag()

    def first() -> str:
        with transaction.atomic():
            record.read_locked(run_id)
            locked.set()
            Run.objects.filter(pk=run_id).update(attention="first was here")
            until_blocked()
        return "first"

    def second() -> str:
        locked.wait(10)
        with transaction.atomic():
            return record.read_locked(run_id).attention

    assert at_once(first, second) == ["first", "first was here"]


def test_many_runs_are_read_in_one_statement_each_as_if_it_were_alone(known: Known) -> None:
    saga = known(flow(["a", "b", "c"]))
    ids = [begun(saga, Payload(number=number)) for number in range(3)]
    with counted() as statements:
        views = record.read_many([uuid4(), *reversed(ids)])
    assert len(statements) == 1
    assert [view.id for view in views] == ids
    for view in views:
        alone = record.read(view.id)
        assert (view.payload, view.holds) == (alone.payload, alone.holds)
        assert list(view.steps) == list(alone.steps)
    assert record.read_many([]) == []


@pytest.mark.django_db(transaction=True)
def test_a_plain_reading_waits_for_nobody(known: Known) -> None:
    run_id, locked, done = begun(known(flow(["a"]))), Flag(), Flag()

    def holder() -> bool:
        with transaction.atomic():
            record.read_locked(run_id)
            locked.set()
            return done.wait(10)

    def reader() -> bool:
        locked.wait(10)
        record.read(run_id)
        done.set()
        return True

    assert at_once(holder, reader) == [True, True]


def test_holds_on_other_runs_are_not_read_and_slow_no_claim(known: Known) -> None:
    actor = Actor()
    saga = known(flow(actor.steps("a")))
    costs = []
    for _ in range(3):
        run_id = begun(saga)
        with counted() as statements:
            carried(run_id, "a")
        costs.append(len(statements))  # of the first with a beat
        if len(costs) == 2:
            Hold.objects.create(kind="run", target=str(uuid4()), reason="x", placed_by="ann")
    assert costs[1] == costs[2]
    assert (run_of(run_id).status, record.read(run_id).holds) == ("succeeded", frozenset())
    other = begun(saga)
    Hold.objects.create(kind="run", target=str(other), reason="x", placed_by="ann")
    Hold.objects.create(kind="queue", target="slow", reason="x", placed_by="ann")
    assert record.read(other).holds == {f"run:{other}", "queue:slow"}
    carried(other, "a")
    assert run_of(other).status == "pending"


def test_holds_are_looked_up_once_for_all_steps_of_a_run(known: Known) -> None:
    saga = known(flow(["a", "b", "c"]))
    ids = [begun(saga) for _ in range(2)]
    Hold.objects.create(kind="run", target=str(ids[0]), reason="x", placed_by="ann")
    first, second = record.read_many(ids)
    assert first.holds == {f"run:{ids[0]}"}
    assert second.holds == frozenset()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ANALYZE {record._READ}", {"id": ids[0]})
        plan = "\n".join(line for (line,) in cursor.fetchall())
    aggregate = next(line for line in plan.splitlines() if "Aggregate" in line)
    assert "loops=1)" in aggregate, plan

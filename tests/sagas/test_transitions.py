"""The record's only writer: all moves of a draft with their events, or none."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from sagas import record, transitions
from sagas.conf import conf
from sagas.define import plan
from sagas.define.draft import Draft
from sagas.define.outcome import Done, Outcome, Refused, RetryLater, Unknown, Wait
from sagas.define.plan import Worker
from sagas.define.saga import Definition
from sagas.define.view import RunView
from sagas.identity import identity
from sagas.models import Event, Run, Step, uuid7
from tests.sagas.flows import flow, fork, simple
from tests.sagas.stage import BACKWARD, FORWARD, at_once, row, run_of, states, status, told
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
_SECOND = timedelta(seconds=1)
_NOBODY = Worker(lambda step, way: False, lambda step: True)


def inserted(saga: Definition, *, key: str = "k", deadline: float | None = None) -> RunView:
    """A new run, and the view that it was planned on."""
    view = RunView(uuid7(), saga.name, 1, saga.fingerprint, key, '{"number": 1}')
    assert transitions.insert(plan.begin(saga, view, _NOBODY), deadline)
    return view


def claim(saga: Definition, run_id: UUID, step: str = "a") -> Draft:
    return plan.claim(saga, record.read(run_id), step, FORWARD, _NOBODY)


def settled(saga: Definition, run_id: UUID, step: str, outcome: Outcome) -> None:
    """Claim a step and record an answer."""
    assert transitions.write(claim(saga, run_id, step))
    view = record.read(run_id)
    draft = plan.settle(saga, view, view.steps[FORWARD, step], outcome, _NOBODY)
    assert transitions.write(draft)


SAGA = flow(["a", "b"])


# --- all or nothing ------------------------------------------------------------------------


def test_a_write_planned_on_an_older_revision_writes_nothing() -> None:
    run_id = inserted(SAGA).id
    slow, quick = claim(SAGA, run_id), claim(SAGA, run_id)
    assert transitions.write(quick)
    before = (run_of(run_id).revision, Event.objects.count(), row(run_id, "a").attempt)
    assert not transitions.write(slow)
    assert (run_of(run_id).revision, Event.objects.count(), row(run_id, "a").attempt) == before


def test_a_refused_write_adds_no_compensations() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", Done())
    view = record.read(run_id)
    draft = plan.halt(SAGA, view, view.halt.CANCELLED, _NOBODY)
    Run.objects.update(revision=99)
    assert not transitions.write(draft)
    assert not Step.objects.filter(direction="backward").exists()
    assert status(run_id) == "running"


def test_a_write_to_a_run_that_does_not_exist_writes_nothing() -> None:
    run_id = inserted(SAGA).id
    draft = claim(SAGA, run_id)
    Run.objects.all().delete()
    events = Event.objects.count()
    assert not transitions.write(draft)
    assert Event.objects.count() == events


def test_every_write_raises_the_revision_and_keeps_the_view_current() -> None:
    view = inserted(SAGA)
    draft = plan.claim(SAGA, _dated(view), "a", FORWARD, _NOBODY)
    assert transitions.write(draft)
    draft = plan.settle(SAGA, view, view.steps[FORWARD, "a"], Done(), _NOBODY)
    assert transitions.write(draft)
    assert view.revision == run_of(view.id).revision == 2
    assert told(view.id).problems == []


def test_new_rows_are_known_by_their_ids_afterwards() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", Done())
    view = record.read(run_id)
    transitions.write(plan.halt(SAGA, view, view.halt.CANCELLED, _NOBODY))
    assert view.steps[BACKWARD, "a"].id == row(run_id, "a", BACKWARD).pk
    assert all(step.id for step in view.steps.values())


def test_a_write_that_the_database_refuses_leaves_nothing_behind() -> None:
    run_id = inserted(SAGA).id
    draft = claim(SAGA, run_id)
    draft.view.attention = None  # type: ignore[assignment]
    with pytest.raises(IntegrityError, match="attention"), transaction.atomic():
        transitions.write(draft)
    assert states(run_id)["a"] == "ready"
    assert run_of(run_id).revision == 0


@pytest.mark.django_db(transaction=True)
def test_of_writes_at_the_same_moment_one_is_written() -> None:
    for number in range(20):
        run_id = inserted(SAGA, key=f"k{number}").id
        drafts = [claim(SAGA, run_id) for _ in range(4)]
        written = at_once(*(partial(transitions.write, draft) for draft in drafts))
        assert sorted(map(str, written)) == ["False", "False", "False", "True"]
        assert run_of(run_id).revision == 1
        assert Event.objects.filter(run=run_id, new="in_flight").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_inserts_under_one_key_at_the_same_moment_one_is_written() -> None:
    for number in range(10):
        views = [
            RunView(uuid7(), SAGA.name, 1, SAGA.fingerprint, f"k{number}", "{}") for _ in range(4)
        ]
        drafts = [plan.begin(SAGA, view, _NOBODY) for view in views]
        written = at_once(*(partial(transitions.insert, draft, None) for draft in drafts))
        assert sorted(map(str, written)) == ["False", "False", "False", "True"]
    assert (Run.objects.count(), Step.objects.count(), Event.objects.count()) == (10, 20, 20)


# --- the first claim -----------------------------------------------------------------------


def all_of(run_id: UUID) -> list[Any]:
    """Everything that is stored about a run, but times, ids and the digests that they are in."""
    run = Run.objects.filter(pk=run_id).values("status", "epoch", "revision", "halt")
    names = "name", "direction", "status", "attempt", "tries", "probes", "losses", "in_doubt"
    steps = Step.objects.filter(run_id=run_id).values(*names, "worker", "pid", "signal", "due_at")
    events = Event.objects.filter(run_id=run_id).order_by("id")
    logged = events.values("step", "direction", "old", "new", "attempt", "epoch", "worker", "data")
    for event in logged:
        event["data"].pop("digest", None)
    return [list(run), list(steps), list(logged)]


def seen(view: RunView) -> list[Any]:
    """A view as the planner sees it, but times and ids."""
    steps = [
        (s.name, s.direction, s.status, s.attempt, s.tries, s.needs_worker)
        for s in view.steps.values()
    ]
    return [view.status, view.epoch, view.revision, view.payload, steps]


def test_the_first_claim_writes_and_gives_what_a_read_and_a_plan_would() -> None:
    saga = flow([simple("a", timeout=7), fork("b", "c"), simple("d", when=lambda run: False)])
    planned, at_once_ = inserted(saga, key="1").id, inserted(saga, key="2").id
    expected = claim(saga, planned)
    assert transitions.write(expected)
    with counted() as statements:
        draft = transitions.take_first(saga, at_once_, "a")
    assert len(statements) == 1
    assert draft is not None
    assert all_of(at_once_) == all_of(planned)
    assert seen(draft.view) == seen(expected.view)
    assert [vars_of(e) for e in draft.events] == [vars_of(e) for e in expected.events]
    limits = [row(run_id, "a").limit_at for run_id in (planned, at_once_)]
    assert limits[0] == pytest.approx(limits[1], abs=_SECOND)
    assert told(at_once_).problems == []


def vars_of(event: Any) -> tuple[Any, ...]:
    return (event.step, event.direction, event.old, event.new, event.attempt, event.data)


@pytest.mark.parametrize(
    "touched",
    [
        {"status": "running"},
        {"status": "needs_attention", "attention": "why"},
        {"halt": "cancelled"},
        {"deadline_at": timezone.now() - _SECOND},
        {"fingerprint": "another"},
        {"version": 2},
        {"saga": "another"},
    ],
)
def test_a_run_that_was_touched_is_left_to_the_planner(touched: dict[str, Any]) -> None:
    run_id = inserted(SAGA).id
    Run.objects.filter(pk=run_id).update(**touched)
    before = all_of(run_id)
    assert transitions.take_first(SAGA, run_id, "a") is None
    assert all_of(run_id) == before


@pytest.mark.parametrize("values", [{"status": "waiting"}, {"due_at": Now() + 99 * _SECOND}])
def test_so_is_a_step_that_cannot_be_taken_now(values: dict[str, Any]) -> None:
    run_id = inserted(SAGA).id
    Step.objects.filter(name="a").update(**values)
    assert transitions.take_first(SAGA, run_id, "a") is None
    assert transitions.take_first(SAGA, run_id, "b") is None
    assert transitions.take_first(SAGA, uuid7(), "a") is None
    assert status(run_id) == "pending"


@pytest.mark.django_db(transaction=True)
def test_of_first_claims_at_the_same_moment_one_is_written() -> None:
    for number in range(20):
        run_id = inserted(SAGA, key=f"k{number}").id
        claims = [partial(transitions.take_first, SAGA, run_id, "a")] * 3
        planned = claim(SAGA, run_id)
        outcomes = at_once(*claims, partial(transitions.write, planned))
        assert sum(bool(outcome) for outcome in outcomes) == 1, outcomes
        assert row(run_id, "a").attempt == 1
        assert told(run_id).problems == []


# --- what is written -----------------------------------------------------------------------


def test_a_claim_writes_who_has_it_and_until_when() -> None:
    run_id = inserted(flow([simple("a", timeout=7)])).id
    transitions.write(claim(flow([simple("a", timeout=7)]), run_id))
    found, now = row(run_id, "a"), timezone.now()
    assert (found.status, found.attempt, found.worker) == ("in_flight", 1, identity())
    assert found.limit_at is not None
    assert found.limit_at > now + 7 * _SECOND
    assert found.due_at is None
    assert run_of(run_id).started_at is not None


def test_no_lease_can_end_before_the_watchdog_has_surely_bitten() -> None:
    """Else a second worker would begin while the first may still be calling the partner."""
    saga = flow([simple("a", timeout=7)])
    run_id = inserted(saga).id
    before = timezone.now()
    transitions.write(claim(saga, run_id))
    limit = row(run_id, "a").limit_at
    assert limit is not None
    assert limit >= before + (7 + 2 * conf().GRACE_SECONDS) * _SECOND


@pytest.mark.parametrize("outcome", [Done("7"), Refused("no"), RetryLater("busy"), Wait(9.0)])
def test_an_answer_gives_the_lease_back(outcome: Outcome) -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", outcome)
    found = row(run_id, "a")
    assert (found.limit_at, found.worker, found.pid) == (None, "", None)
    assert found.started_at is not None


def test_a_result_is_stored_and_nothing_else_touches_it() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", Done(json.dumps({"id": "ch_1"})))
    assert row(run_id, "a").result == {"id": "ch_1"}
    view = record.read(run_id)
    transitions.write(plan.halt(SAGA, view, view.halt.CANCELLED, _NOBODY))
    assert row(run_id, "a").result == {"id": "ch_1"}


def test_the_last_reason_is_kept_on_the_row_and_all_of_them_in_the_log() -> None:
    run_id = inserted(SAGA).id
    for reason in ("first", "second"):
        settled(SAGA, run_id, "a", RetryLater(reason, 0.0))
        Step.objects.update(due_at=timezone.now() - _SECOND)
    settled(SAGA, run_id, "a", Done())
    assert row(run_id, "a").error == "second"
    logged = Event.objects.filter(run=run_id, data__has_key="reason").order_by("id")
    assert [event.data["reason"] for event in logged] == ["first", "second"]


def test_what_is_scheduled_is_due_and_woken_by_the_databases_clock() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", RetryLater("busy", 50.0))
    found = row(run_id, "a")
    assert found.due_at == pytest.approx(timezone.now() + 50 * _SECOND, abs=2 * _SECOND)
    assert run_of(run_id).wake_at == pytest.approx(
        min(found.due_at, timezone.now() + conf().RESEND_SECONDS * _SECOND), abs=2 * _SECOND
    )


@pytest.mark.parametrize("outcome", [Unknown("reset", 50.0), Wait(50.0), RetryLater("busy", 50.0)])
def test_a_deadline_wakes_what_is_scheduled_for_later(outcome: Outcome) -> None:
    run_id = inserted(SAGA, deadline=20).id
    settled(SAGA, run_id, "a", outcome)
    found = row(run_id, "a")
    wake_at = run_of(run_id).wake_at
    assert wake_at == pytest.approx(timezone.now() + 20 * _SECOND, abs=2 * _SECOND)
    assert found.due_at is not None
    assert wake_at is not None
    assert found.due_at > wake_at


def test_what_a_parked_run_had_scheduled_is_woken_by_nobody() -> None:
    saga = flow([fork("a", simple("b", idempotent=False))])
    run_id = inserted(saga).id
    settled(saga, run_id, "a", RetryLater("busy", 50.0))
    settled(saga, run_id, "b", Unknown("reset"))
    assert status(run_id) == "needs_attention"
    assert run_of(run_id).wake_at is None


def test_a_parked_run_is_woken_for_what_it_has_in_flight() -> None:
    saga = flow([fork("a", simple("b", idempotent=False))])
    run_id = inserted(saga).id
    assert transitions.write(claim(saga, run_id, "a"))
    settled(saga, run_id, "b", Unknown("reset"))
    assert status(run_id) == "needs_attention"
    wake_at = run_of(run_id).wake_at
    assert wake_at is not None
    assert wake_at <= timezone.now() + conf().LEASE_SECONDS * _SECOND


def test_a_step_that_ended_says_when() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", Done())
    settled(SAGA, run_id, "b", Refused("no"))
    assert [row(run_id, name).finished_at is not None for name in "ab"] == [True, True]
    assert run_of(run_id).finished_at is None
    assert row(run_id, "a", BACKWARD).finished_at is None


def test_a_run_that_ended_says_when() -> None:
    run_id = inserted(flow(["a"])).id
    settled(flow(["a"]), run_id, "a", Done())
    run = run_of(run_id)
    assert run.finished_at is not None
    assert run.started_at is not None
    assert run.created_at <= run.started_at <= run.finished_at


def test_events_are_written_in_the_order_of_the_moves_with_who_made_them() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", Refused("no"))
    events = Event.objects.filter(run=run_id).order_by("id")
    assert [(e.step, e.new) for e in events] == [
        ("", "pending"),
        ("a", "ready"),
        ("", "running"),
        ("a", "in_flight"),
        ("a", "failed"),
        ("", "failed"),
        ("", "compensating"),
        ("", "compensated"),
    ]
    assert {event.worker for event in events} == {identity()}
    assert [event.epoch for event in events] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert events.get(new="failed", step="a").data == {"reason": "no"}


def test_an_insert_under_a_key_in_use_writes_nothing() -> None:
    inserted(SAGA)
    view = RunView(uuid7(), SAGA.name, 1, SAGA.fingerprint, "k", "{}")
    assert not transitions.insert(plan.begin(SAGA, view, _NOBODY), None)
    assert (Run.objects.count(), Step.objects.count(), Event.objects.count()) == (1, 2, 2)


@pytest.mark.parametrize("payload", ["{}", '{"a": [1.5, null, "ü"]}'])
def test_a_payload_is_stored_as_it_is(payload: str) -> None:
    view = RunView(uuid7(), SAGA.name, 1, SAGA.fingerprint, "k", payload)
    transitions.insert(plan.begin(SAGA, view, _NOBODY), None)
    assert run_of(view.id).payload == json.loads(payload)


# --- what it costs -------------------------------------------------------------------------


def test_a_write_is_one_statement() -> None:
    with counted() as statements:
        view = inserted(SAGA)
    assert len(statements) == 1
    draft = plan.claim(SAGA, _dated(view), "a", FORWARD, _NOBODY)
    with counted() as statements:
        transitions.write(draft)
    assert len(statements) == 1
    draft = plan.settle(SAGA, view, view.steps[FORWARD, "a"], Refused("no"), _NOBODY)
    with counted() as statements:
        transitions.write(draft)
    assert len(statements) == 1


def test_a_claim_brings_the_documents_of_the_run_with_it() -> None:
    run_id = inserted(SAGA).id
    settled(SAGA, run_id, "a", Done('{"id": "ch_1"}'))
    draft = claim(SAGA, run_id, "b")
    assert draft.view.payload is None
    with counted() as statements:
        assert transitions.write(draft)
        assert record.complete(draft.view) == '{"number": 1}'
    assert len(statements) == 1
    assert draft.view.steps[FORWARD, "a"].result == '{"id": "ch_1"}'
    assert draft.view.steps[FORWARD, "b"].result is None


def test_a_claim_that_somebody_was_quicker_with_brings_none() -> None:
    run_id = inserted(SAGA).id
    slow, quick = claim(SAGA, run_id), claim(SAGA, run_id)
    assert transitions.write(quick)
    assert not transitions.write(slow)
    assert slow.view.payload is None


def test_what_claims_nothing_brings_no_documents() -> None:
    run_id = inserted(SAGA).id
    assert transitions.write(claim(SAGA, run_id))
    view = record.read(run_id)
    draft = plan.settle(SAGA, view, view.steps[FORWARD, "a"], RetryLater("busy"), _NOBODY)
    assert transitions.write(draft)
    assert view.payload is None


def test_a_write_of_many_branches_is_one_statement_too() -> None:
    saga = flow(["z", fork(*"abcdefghij"), "y"])
    run_id = inserted(saga).id
    transitions.write(claim(saga, run_id, "z"))
    view = record.read(run_id)
    draft = plan.settle(saga, view, view.steps[FORWARD, "z"], Done(), _NOBODY)
    with counted() as statements:
        transitions.write(draft)
    assert len(statements) == 1
    assert list(states(run_id).values()).count("ready") == 10


def _dated(view: RunView) -> Any:
    view.now = timezone.now()
    return view

"""Holds as operators place and lift them: who may, what is refused, and how runs go on."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from celery import current_app
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import F
from django.test import override_settings
from django.utils import timezone

from sagas import transitions
from sagas.define.outcome import Refused, Wait
from sagas.define.saga import Definition
from sagas.errors import ApprovalNeeded, UnknownRun, UnknownSaga, VerbRefused
from sagas.models import AuditEntry, Hold, HoldKind, Run, Scope, Step
from sagas.operate.hold import hold, in_force, lift, waiting_under
from sagas.operate.pause import pause
from sagas.run.recover import sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow, pivot
from tests.sagas.operate.parked import ANN, WHY, Person, delivered
from tests.sagas.stage import Actor, Known, at_once, begun, carried, lapse, run_of, status
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db(transaction=True)
_SECOND = timedelta(seconds=1)
BOB: dict[str, Any] = {"by": Person("bob"), "reason": "it is well again"}


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture
def saga(known: Known, actor: Actor) -> Definition:
    """Its steps are on the queue ``payments`` and of the partner ``bank``."""
    return known(flow([actor.step(n, queue="payments", partner="bank") for n in "ab"]))


def target_of(kind: str, run_id: UUID) -> str:
    return {"run": str(run_id), "saga": "flow", "queue": "payments", "partner": "bank"}[kind]


def granted(*codenames: str, saga: str = "") -> User:
    """A user of a group that has these permissions, for one saga if it is named, else for all."""
    user, group = User.objects.create_user("eve"), Group.objects.create(name="some")
    group.permissions.set(Permission.objects.filter(codename__in=codenames))
    Scope.objects.create(group=group, saga=saga or None)
    user.groups.add(group)
    return user


# --- placing -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HoldKind)
def test_a_hold_says_who_placed_it_when_and_why_and_stops_what_it_names(
    saga: Definition, actor: Actor, kind: HoldKind
) -> None:
    run_id = begun(saga)
    placed = hold(kind, target_of(kind, run_id), by=ANN, reason="  the bank is down ")
    assert (placed.kind, placed.target) == (kind, target_of(kind, run_id))
    assert (placed.placed_by, placed.reason) == ("ann", "the bank is down")
    assert abs(timezone.now() - placed.placed_at) < 60 * _SECOND
    assert list(in_force()) == [placed]
    carried(run_id, "a")
    assert actor.calls == []


@pytest.mark.parametrize("kind", HoldKind)
def test_a_second_hold_on_the_same_is_refused_and_names_the_first(
    saga: Definition, kind: HoldKind
) -> None:
    target = target_of(kind, begun(saga))
    hold(kind, target, by=ANN, reason="the bank is down")
    with pytest.raises(VerbRefused, match=r"already\. ann placed that hold: the bank is down"):
        hold(kind, target, **BOB)
    assert Hold.objects.count() == 1


def test_of_holds_at_the_same_moment_one_is_placed(saga: Definition) -> None:
    outcomes = at_once(*[partial(hold, "queue", "payments", **WHY)] * 5)
    assert sum(isinstance(outcome, Hold) for outcome in outcomes) == 1, outcomes
    assert sum(isinstance(outcome, VerbRefused) for outcome in outcomes) == 4, outcomes


@pytest.mark.parametrize(
    ("kind", "target", "error", "message"),
    [
        ("planet", "mars", VerbRefused, "run, a saga, a queue, a partner; not on a 'planet'"),
        ("saga", "flov", UnknownSaga, "Did you mean 'flow'?"),
        ("queue", "payment", VerbRefused, "No queue is named 'payment'. Did you mean 'payments'?"),
        (
            "partner",
            "bonk",
            VerbRefused,
            "No partner is named 'bonk'. Did you mean 'bank'? Known: ",
        ),
        ("partner", "xyz", VerbRefused, "No partner is named 'xyz'. Known: "),
        ("run", "nonsense", UnknownRun, "'nonsense' is no id of a run"),
        ("run", str(UUID(int=9)), UnknownRun, "No run has the id"),
    ],
)
def test_what_does_not_exist_is_not_held(
    saga: Definition, kind: str, target: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as raised:
        hold(kind, target, **WHY)
    assert message in str(raised.value)
    assert not Hold.objects.exists()


def test_a_run_that_is_over_is_not_held(saga: Definition) -> None:
    run_id = begun(saga)
    carried(run_id, "a", "b")
    with pytest.raises(VerbRefused, match="has succeeded: there is nothing to hold"):
        hold("run", str(run_id), **WHY)


def test_an_id_of_a_run_may_be_spelt_in_any_way(saga: Definition, actor: Actor) -> None:
    run_id = begun(saga)
    assert hold("run", run_id.hex.upper(), **WHY).target == str(run_id)
    carried(run_id, "a")
    assert actor.calls == []


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_reason_is_required(saga: Definition, reason: str) -> None:
    with pytest.raises(VerbRefused, match="To hold needs a reason"):
        hold("saga", "flow", by=ANN, reason=reason)
    placed = hold("saga", "flow", **WHY)
    with pytest.raises(VerbRefused, match="To lift needs a reason"):
        lift(placed.pk, by=ANN, reason=reason)
    assert list(in_force()) == [placed]


# --- who may -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HoldKind)
def test_who_may_nothing_may_neither_hold_nor_lift(saga: Definition, kind: HoldKind) -> None:
    target = target_of(kind, begun(saga))
    with pytest.raises(PermissionDenied):
        hold(kind, target, by=Person(may=False), reason="r")
    placed = hold(kind, target, **WHY)
    with pytest.raises(PermissionDenied):
        lift(placed.pk, by=Person(may=False), reason="r")
    assert list(in_force()) == [placed]


def test_a_run_needs_no_more_than_the_right_to_change_runs(saga: Definition) -> None:
    user, run_id = granted("change_run"), begun(saga)
    placed = hold("run", str(run_id), by=user, reason="r")
    lift(placed.pk, by=user, reason="r")
    for kind in ("saga", "queue", "partner"):
        with pytest.raises(PermissionDenied, match=r"sagas\.add_hold"):
            hold(kind, target_of(kind, run_id), by=user, reason="r")


def test_who_may_hold_sagas_may_not_change_runs_by_that(saga: Definition) -> None:
    user, run_id = granted("add_hold"), begun(saga)
    for kind in ("saga", "queue", "partner"):
        hold(kind, target_of(kind, run_id), by=user, reason="r")
    with pytest.raises(PermissionDenied, match=r"sagas\.change_run"):
        hold("run", str(run_id), by=user, reason="r")


def test_a_right_for_one_saga_holds_that_and_nothing_that_others_share(
    saga: Definition, known: Known
) -> None:
    known(flow(["x"], name="other"))
    user, run_id = granted("add_hold", "change_run", saga="other"), begun(saga)
    hold("saga", "other", by=user, reason="r")
    for kind in HoldKind:
        with pytest.raises(PermissionDenied):
            hold(kind, target_of(kind, run_id), by=user, reason="r")
        placed = hold(kind, target_of(kind, run_id), **WHY)
        with pytest.raises(PermissionDenied):
            lift(placed.pk, by=user, reason="r")


# --- the audit -----------------------------------------------------------------------------


def test_placing_and_lifting_are_in_the_audit(saga: Definition) -> None:
    placed = hold("queue", "payments", **WHY)
    lift(placed.pk, **BOB)
    lifting, placing = AuditEntry.objects.order_by("-number")
    assert (placing.actor, placing.verb, placing.subject) == ("ann", "hold", "queue payments")
    assert (placing.reason, placing.run, placing.after) == ("ticket 7", None, {"held": True})
    assert (lifting.actor, lifting.verb, lifting.subject) == ("bob", "lift", "queue payments")
    assert lifting.before == {"held": True, "by": "ann", "because": "ticket 7"}
    assert lifting.after == {"held": False}


def test_the_audit_of_a_run_tells_of_its_holds(saga: Definition) -> None:
    run_id = begun(saga)
    hold("run", str(run_id), **WHY)
    hold("saga", "flow", **WHY)
    of_saga, of_run = AuditEntry.objects.order_by("-number")
    assert (of_run.run, of_run.saga, of_run.subject) == (run_id, "flow", "")
    assert (of_saga.run, of_saga.saga, of_saga.subject) == (None, "flow", "saga flow")


def test_what_is_refused_is_not_in_the_audit(saga: Definition) -> None:
    placed = hold("queue", "payments", **WHY)
    with pytest.raises(VerbRefused):
        hold("queue", "payments", **BOB)
    lift(placed.pk, **BOB)
    with pytest.raises(VerbRefused):
        lift(placed.pk, **BOB)
    assert AuditEntry.objects.count() == 2


# --- lifting -------------------------------------------------------------------------------


def waiting(saga: Definition, count: int) -> list[UUID]:
    """Runs whose first message was dropped, and that a sweep has found to be held."""
    runs = [begun(saga) for _ in range(count)]
    for run_id in runs:
        lapse(run_id)
    assert sweep() == 0
    return runs


def wakes(runs: list[UUID]) -> list[float]:
    """In how many seconds a sweep looks at each run."""
    now = timezone.now()
    moments = dict(Run.objects.filter(pk__in=runs).values_list("pk", "wake_at"))
    return [(moment - now).total_seconds() for run_id in runs if (moment := moments[run_id])]


@pytest.mark.parametrize("kind", ["saga", "queue", "partner"])
def test_runs_drain_one_after_another_the_oldest_first(
    saga: Definition, actor: Actor, post: Post, kind: str
) -> None:
    placed = hold(kind, target_of(kind, uuid4()), **WHY)
    runs = waiting(saga, 7)
    revisions = [run_of(run_id).revision for run_id in runs]
    assert lift(placed.pk, **BOB, per_second=0.1) == 7
    assert wakes(runs) == pytest.approx([10, 20, 30, 40, 50, 60, 70], abs=5)
    assert [run_of(run_id).revision for run_id in runs] == [r + 1 for r in revisions]
    Run.objects.update(wake_at=F("wake_at") - 35 * _SECOND)
    assert sweep() == 3
    delivered(post)
    assert [status(run_id) for run_id in runs] == ["succeeded"] * 3 + ["pending"] * 4


def test_the_pace_is_a_setting_unless_the_operator_says_otherwise(saga: Definition) -> None:
    placed = hold("saga", "flow", **WHY)
    runs = waiting(saga, 4)
    with override_settings(SAGAS={"DRAIN_PER_SECOND": 0.2}):
        lift(placed.pk, **BOB)
    assert wakes(runs) == pytest.approx([5, 10, 15, 20], abs=3)


@pytest.mark.parametrize("pace", [0, -1.0, float("nan")])
def test_a_pace_at_which_nothing_goes_on_is_refused(saga: Definition, pace: float) -> None:
    placed = hold("saga", "flow", **WHY)
    with pytest.raises(VerbRefused, match="more than 0"):
        lift(placed.pk, **BOB, per_second=pace)
    assert list(in_force()) == [placed]


def test_runs_drain_batch_by_batch_at_one_pace(saga: Definition) -> None:
    placed = hold("saga", "flow", **WHY)
    runs = waiting(saga, 7)
    with patch("sagas.operate.holding._BATCH", 3):
        assert lift(placed.pk, **BOB, per_second=0.1) == 7
    assert wakes(runs) == pytest.approx([10, 20, 30, 40, 50, 60, 70], abs=5)


def test_lifting_wakes_what_was_stopped_and_nothing_else(
    saga: Definition, known: Known, actor: Actor
) -> None:
    other = known(flow(actor.steps("x"), name="other"))
    actor.answers["do p"] = Wait(9000.0)
    later = known(flow([actor.step("p", partner="bank")], name="later"))
    actor.answers["do q"] = Refused("no")
    stuck = known(flow([pivot(actor.step("a")), actor.step("q", partner="bank")], name="stuck"))
    done, waits, parked = begun(saga), begun(later), begun(stuck)
    carried(done, "a", "b")
    carried(waits, "p", saga="")
    carried(parked, "a", saga="")
    assert status(parked) == "needs_attention"
    placed = hold("partner", "bank", **WHY)
    foreign, held = begun(other), begun(saga)
    lapse(held)
    assert sweep() == 0
    before = {run_id: run_of(run_id).wake_at for run_id in (done, foreign, waits, parked)}
    assert lift(placed.pk, **BOB) == 1
    assert {run_id: run_of(run_id).wake_at for run_id in before} == before
    assert wakes([held])[0] < 5


def test_a_run_whose_deadline_passed_while_it_was_held_is_woken(
    saga: Definition, actor: Actor, post: Post
) -> None:
    actor.answers["do a"] = Wait(None, "paid", "order:1")
    run_id = begun(saga, deadline=timedelta(hours=1))
    carried(run_id, "a")
    placed = hold("queue", "payments", **WHY)
    Run.objects.update(deadline_at=F("created_at"), wake_at=F("created_at"))
    assert sweep() == 0
    assert wakes([run_id])[0] > 250
    assert lift(placed.pk, **BOB, per_second=1000) == 1
    Run.objects.update(wake_at=timezone.now() - _SECOND)
    assert sweep() == 1
    delivered(post)
    assert status(run_id) == "compensated"


def test_what_another_hold_stops_too_goes_on_when_both_are_lifted(
    saga: Definition, post: Post
) -> None:
    first, second = hold("saga", "flow", **WHY), hold("queue", "payments", **WHY)
    (run_id,) = waiting(saga, 1)
    for placed, sent in ((first, 0), (second, 1)):
        assert lift(placed.pk, **BOB, per_second=1000) == 1
        Run.objects.update(wake_at=timezone.now() - _SECOND)
        assert sweep() == sent
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_lifted_hold_is_history_and_its_target_can_be_held_again(saga: Definition) -> None:
    placed = hold("saga", "flow", **WHY)
    lift(placed.pk, **BOB)
    placed.refresh_from_db()
    assert placed.lifted_by == "bob"
    assert placed.lifted_at is not None
    assert list(in_force()) == []
    with pytest.raises(VerbRefused, match="bob has lifted the hold on the saga flow already"):
        lift(placed.pk, **WHY)
    again = hold("saga", "flow", **WHY)
    assert list(in_force()) == [again]


def test_a_hold_that_does_not_exist_is_not_lifted() -> None:
    with pytest.raises(VerbRefused, match="There is no hold 12345"):
        lift(12345, **WHY)


def test_of_two_who_lift_at_the_same_moment_one_does_and_the_other_is_told(
    saga: Definition,
) -> None:
    placed = hold("saga", "flow", **WHY)
    outcomes = at_once(partial(lift, placed.pk, **WHY), partial(lift, placed.pk, **BOB))
    assert sum(outcome == 0 for outcome in outcomes) == 1, outcomes
    assert sum(isinstance(outcome, VerbRefused) for outcome in outcomes) == 1, outcomes


def test_who_dies_between_lifting_and_waking_leaves_nothing_stuck(
    saga: Definition, post: Post
) -> None:
    placed = hold("saga", "flow", **WHY)
    runs = waiting(saga, 3)
    with (
        patch.object(transitions, "drain", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),
    ):
        lift(placed.pk, **BOB)
    assert list(in_force()) == []
    assert all(250 < wake < 601 for wake in wakes(runs))
    Run.objects.update(wake_at=F("wake_at") - 601 * _SECOND)
    assert sweep() == 3
    delivered(post)
    assert {status(run_id) for run_id in runs} == {"succeeded"}


def test_waking_is_tried_again_after_a_deadlock(saga: Definition) -> None:
    placed = hold("saga", "flow", **WHY)
    runs = waiting(saga, 3)
    real, failures = transitions.drain, [OperationalError("deadlock detected")]

    def drain(*args: Any) -> int:
        if failures:
            raise failures.pop()
        return real(*args)

    with patch.object(transitions, "drain", drain):
        assert lift(placed.pk, **BOB) == 3
    assert max(wakes(runs)) < 5


def test_a_worker_that_sees_the_hold_while_it_is_lifted_puts_no_run_off(
    saga: Definition, post: Post
) -> None:
    """Its sweep has read that the run is held, and writes its late look when all are woken."""
    placed = hold("saga", "flow", **WHY)
    run_id = begun(saga)
    lapse(run_id)
    real = transitions.look_again

    def look_again(looks: Any) -> None:
        looked = list(looks)
        assert [look > 250 for _, look in looked] == [True]
        (woken,) = at_once(lambda: lift(placed.pk, **BOB))
        assert woken == 1
        real(looked)

    with patch.object(transitions, "look_again", look_again):
        assert sweep() == 0
    assert wakes([run_id])[0] < 5


# --- what waits ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", HoldKind)
def test_the_runs_that_wait_because_of_a_hold_are_counted(
    saga: Definition, known: Known, actor: Actor, kind: HoldKind
) -> None:
    begun(known(flow(actor.steps("x"), name="other")))
    first, second, done = begun(saga), begun(saga), begun(saga)
    carried(done, "a", "b")
    placed = hold(kind, target_of(kind, first), **WHY)
    assert waiting_under(placed) == (1 if kind is HoldKind.RUN else 2)
    actor.answers["do a"] = Wait(9000.0)
    lift(placed.pk, **BOB)
    carried(second, "a")
    again = hold(kind, target_of(kind, first), **WHY)
    assert waiting_under(again) == 1


def test_what_is_in_flight_does_not_wait(saga: Definition) -> None:
    run_id = begun(saga)
    placed = hold("saga", "flow", **WHY)
    assert waiting_under(placed) == 1
    with patch("sagas.run.dispatch.attempt", return_value=None):
        Hold.objects.update(lifted_at=timezone.now())
        carried(run_id, "a")
        Hold.objects.update(lifted_at=None)
    assert waiting_under(placed) == 0
    Step.objects.filter(name="a").update(limit_at=timezone.now() - _SECOND)  # it was lost
    assert waiting_under(placed) == 1


def test_counting_ends_at_a_bound_and_costs_one_statement(saga: Definition) -> None:
    placed = hold("queue", "payments", **WHY)
    for _ in range(4):
        begun(saga)
    with counted() as statements:
        assert waiting_under(placed) == 4
    assert len(statements) == 1
    with patch("sagas.operate.hold._MOST", 3):
        assert waiting_under(placed) == 3
    with patch("sagas.operate.hold._AMONG", 2):
        assert waiting_under(placed) == 2


def test_the_default_queue_can_be_held(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    placed = hold("queue", current_app.conf.task_default_queue, **WHY)
    assert waiting_under(placed) == 1
    carried(run_id, "a")
    assert actor.calls == []
    lapse(run_id)
    assert sweep() == 0
    assert lift(placed.pk, **BOB) == 1


# --- who sees and who goes around ----------------------------------------------------------


def test_holds_of_other_sagas_are_not_seen(saga: Definition, known: Known, actor: Actor) -> None:
    mine = begun(saga)
    known(flow([actor.step("x")], "other"))
    theirs = begun(known(flow([actor.step("y")], "third")))
    Hold.objects.create(kind="run", target="no id", reason="odd", placed_by="ann")
    for kind, target in (("run", str(theirs)), ("saga", "other"), ("saga", "third")):
        hold(kind, target, **WHY)
    shared = [hold(kind, target_of(kind, mine), **WHY) for kind in ("queue", "partner")]
    own = [hold(kind, target_of(kind, mine), **WHY) for kind in ("run", "saga")]
    assert list(in_force(granted("view_run", saga="flow"))) == [*own[::-1], *shared[::-1]]
    assert list(in_force(User.objects.create_user("stranger"))) == shared[::-1]
    assert len(in_force(User.objects.create_superuser("root"))) == len(in_force()) == 8


@pytest.mark.parametrize("rules", [{"flow": ["pause", "resume"]}, {"*": ["pause", "resume"]}])
def test_a_hold_on_a_run_is_no_way_around_a_second_person(
    saga: Definition, rules: dict[str, list[str]]
) -> None:
    run_id = begun(saga)
    with override_settings(SAGAS={"FOUR_EYES": rules}):
        with pytest.raises(ApprovalNeeded, match="To pause a run of 'flow' needs a second"):
            hold("run", str(run_id), **WHY)
        assert not Hold.objects.exists()
    pause(run_id, **WHY)
    with override_settings(SAGAS={"FOUR_EYES": rules}):
        with pytest.raises(ApprovalNeeded, match="To resume a run of 'flow' needs a second"):
            lift(Hold.objects.get().pk, **WHY)
        assert Hold.objects.get().lifted_at is None

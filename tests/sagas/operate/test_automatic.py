"""Holds that an automatism places, lets one run through, and lifts, in many workers at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from sagas import record, transitions
from sagas.api import (
    held_partners,
    hold_partner,
    last_lift,
    let_one_through,
    lift_partner,
)
from sagas.define.outcome import NotAsked, RetryLater, Wait
from sagas.define.saga import Definition
from sagas.errors import VerbRefused
from sagas.models import AuditEntry, Hold, Run, Step, Worker
from sagas.operate import holding
from sagas.operate.automatic import LONGEST_HOLD, lift_ended
from sagas.operate.hold import hold, in_force, lift, waiting_under
from sagas.operate.pause import pause
from sagas.run.recover import next_look, sweep
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.parked import WHY, delivered
from tests.sagas.order import Paused
from tests.sagas.stage import (
    Actor,
    Known,
    at_once,
    begun,
    carried,
    elsewhere,
    lapse,
    row,
    run_of,
    states,
    status,
    until_blocked,
)
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
together = pytest.mark.django_db(transaction=True)  # of several connections
OPEN: dict[str, Any] = {"source": "circuit-breaker", "reason": "open after 5 failures"}
SHUT: dict[str, Any] = {"source": "circuit-breaker", "reason": "the partner answers"}
probe = partial(let_one_through, "bank", source="circuit-breaker")
_SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture
def saga(known: Known, actor: Actor) -> Definition:
    """Its first two steps are of the partner ``bank``, on the queue ``payments``."""
    steps = [actor.step(n, queue="payments", partner="bank") for n in "ab"]
    return known(flow([*steps, actor.step("c", queue="payments")]))


def placed(partner: str = "bank") -> Hold:
    found = hold_partner(partner, **OPEN)
    assert found is not None
    return found


def waiting(saga: Definition, count: int) -> list[UUID]:
    """Runs that wait for the bank, the first one longest."""
    runs = sorted(begun(saga) for _ in range(count))
    for age, run_id in enumerate(reversed(runs), start=10):
        Step.objects.filter(run=run_id, name="a").update(due_at=timezone.now() - age * _SECOND)
    return runs


def audited() -> list[tuple[str, str]]:
    """Who did what, the oldest first."""
    return list(AuditEntry.objects.order_by("number").values_list("actor", "verb"))


def reads(*queues: str) -> None:
    """A worker lives that reads these queues."""
    until = timezone.now() + 60 * _SECOND
    Worker.objects.create(name=uuid4().hex, host="h", pid=1, lease_until=until, queues=queues)


def outgrown(*runs: UUID) -> None:
    """The code has changed so that these runs cannot go on with it."""
    Run.objects.filter(pk__in=runs).update(fingerprint="another")


# --- placing -------------------------------------------------------------------------------


def test_it_stops_the_partners_steps_and_says_what_placed_it_and_why(
    saga: Definition, actor: Actor
) -> None:
    run_id = begun(saga)
    held = placed()
    assert (held.kind, held.target, held.source) == ("partner", "bank", "circuit-breaker")
    assert (held.reason, held.placer) == (OPEN["reason"], "circuit-breaker (automatic)")
    assert held_partners("circuit-breaker") == {"bank"}
    assert held_partners("another") == frozenset()
    carried(run_id, "a", "b", "c")
    assert (actor.calls, states(run_id)["a"]) == ([], "ready")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.subject) == (
        "system:circuit-breaker", "hold", "partner bank",
    )  # fmt: skip


def test_to_say_it_twice_changes_nothing_and_costs_one_statement(saga: Definition) -> None:
    placed()
    with counted() as statements:
        assert hold_partner("bank", **OPEN) is None
    assert len(statements) == 1, statements
    assert audited() == [("system:circuit-breaker", "hold")]


@together
def test_of_several_workers_at_the_same_moment_one_places_it(saga: Definition) -> None:
    outcomes = at_once(*[partial(hold_partner, "bank", **OPEN)] * 5)
    assert sum(isinstance(outcome, Hold) for outcome in outcomes) == 1, outcomes
    assert outcomes.count(None) == 4, outcomes
    assert (Hold.objects.count(), len(audited())) == (1, 1)


@together
def test_so_it_is_when_the_other_has_not_committed_yet(saga: Definition) -> None:
    paused = Paused()

    def first() -> Hold | None:
        with transaction.atomic():
            found = hold_partner("bank", **OPEN)
            paused(None)
            return found

    with ThreadPoolExecutor(2) as threads:
        placing = threads.submit(elsewhere, first)
        paused.until_called()
        later = threads.submit(elsewhere, partial(hold_partner, "bank", **OPEN))
        until_blocked()
        paused.let_go()
        assert isinstance(placing.result(10), Hold)
        assert later.result(10) is None
    assert (Hold.objects.count(), len(audited())) == (1, 1)


def test_a_partner_that_no_step_names_is_not_held(saga: Definition) -> None:
    assert hold_partner("weather", **OPEN) is None
    assert not Hold.objects.exists()


@pytest.mark.parametrize("source", ["", "Circuit Breaker", "x" * 41, "9", "a:b", "a\n"])
def test_a_source_has_a_plain_name(saga: Definition, source: str) -> None:
    for act in (hold_partner, lift_partner):
        with pytest.raises(ValueError, match="small letters"):
            act("bank", source=source, reason="r")
    with pytest.raises(ValueError, match="small letters"):
        let_one_through("bank", source=source)


def test_a_reason_is_required(saga: Definition) -> None:
    for act in (hold_partner, lift_partner):
        with pytest.raises(VerbRefused, match="needs a reason"):
            act("bank", source="circuit-breaker", reason=" ")


def test_the_database_refuses_automatic_holds_on_anything_but_partners() -> None:
    for more in ({"source": "circuit-breaker"}, {"probe": UUID(int=1)}):
        with pytest.raises(IntegrityError, match="sagas_hold_automatic"), transaction.atomic():
            Hold.objects.create(kind="queue", target="q", reason="r", placed_by="x", **more)


def test_old_code_which_names_neither_column_places_holds_as_ever(saga: Definition) -> None:
    insert = (
        "INSERT INTO sagas_hold (kind, target, reason, placed_by, lifted_by) "
        "VALUES ('partner', 'bank', 'r', 'ann', '') RETURNING source, probe"
    )
    with connection.cursor() as cursor:
        cursor.execute(insert)
        assert cursor.fetchone() == ("", None)
        with pytest.raises(IntegrityError, match="sagas_hold_once"), transaction.atomic():
            cursor.execute(insert)


# --- beside people's -----------------------------------------------------------------------


def test_a_person_may_hold_what_the_system_holds_and_each_is_lifted_on_its_own(
    saga: Definition, actor: Actor
) -> None:
    run_id = begun(saga)
    automatic_one = placed()
    persons = hold("partner", "bank", **WHY)
    assert set(in_force()) == {automatic_one, persons}
    with pytest.raises(VerbRefused, match="ann placed that hold"):
        hold("partner", "bank", **WHY)
    lift_partner("bank", **SHUT)
    carried(run_id, "a")
    assert (actor.calls, list(in_force())) == ([], [persons])
    placed()
    lift(persons.pk, **WHY)
    carried(run_id, "a")
    assert actor.calls == []
    lift_partner("bank", **SHUT)
    carried(run_id, "a", "b", "c")
    assert actor.calls == ["do a", "do b", "do c"]


def test_so_are_those_of_two_automatisms(saga: Definition) -> None:
    placed()
    assert hold_partner("bank", source="rate-limit", reason="r") is not None
    assert lift_partner("bank", **SHUT) == 0
    assert held_partners("rate-limit") == {"bank"}


def test_who_lifts_a_hold_that_the_system_placed_is_told_to_it(saga: Definition) -> None:
    held = placed()
    begun(saga)
    assert last_lift("bank", source="circuit-breaker") is None
    lift(held.pk, **WHY)
    told = last_lift("bank", source="circuit-breaker")
    assert told is not None
    assert (told.hold, told.by, told.forced) == (held.pk, "ann", True)
    assert abs(told.at - timezone.now()) < 60 * _SECOND
    assert audited()[-1] == ("ann", "lift")
    assert AuditEntry.objects.order_by("-number")[0].before["by"] == "system:circuit-breaker"
    placed()
    assert last_lift("bank", source="circuit-breaker") is None
    lift_partner("bank", **SHUT)
    told = last_lift("bank", source="circuit-breaker")
    assert told is not None
    assert (told.by, told.forced) == ("system:circuit-breaker", False)
    assert last_lift("bank", source="another") is None


# --- lifting -------------------------------------------------------------------------------


def test_what_waited_goes_on_one_after_another(saga: Definition, post: Post) -> None:
    placed()
    runs = waiting(saga, 5)
    assert lift_partner("bank", **SHUT, per_second=0.1) == 5
    wakes = [(run_of(r).wake_at - timezone.now()).total_seconds() for r in runs]  # type: ignore[operator]
    assert wakes == pytest.approx([10, 20, 30, 40, 50], abs=5)
    Run.objects.update(wake_at=F("wake_at") - 60 * _SECOND)
    assert sweep() == 5
    delivered(post)
    assert {status(run_id) for run_id in runs} == {"succeeded"}
    assert {row(run_id, "a").tries for run_id in runs} == {1}
    assert audited() == [("system:circuit-breaker", "hold"), ("system:circuit-breaker", "lift")]


@together
def test_of_several_workers_at_the_same_moment_one_lifts_and_drains(saga: Definition) -> None:
    placed()
    waiting(saga, 3)
    real, drains = transitions.drain, []

    def drain(runs: Any, *args: Any) -> int:
        drains.append(runs)
        return real(runs, *args)

    with patch.object(transitions, "drain", drain):
        outcomes = at_once(*[partial(lift_partner, "bank", **SHUT)] * 4)
    assert sorted(outcomes) == [0, 0, 0, 3], outcomes
    assert len(drains) == 1
    assert [verb for _, verb in audited()] == ["hold", "lift"]


@together
def test_a_person_and_the_system_lift_it_once(saga: Definition) -> None:
    held = placed()
    waiting(saga, 3)
    outcomes = at_once(partial(lift, held.pk, **WHY), partial(lift_partner, "bank", **SHUT))
    assert 3 in outcomes, outcomes
    assert [verb for _, verb in audited()] == ["hold", "lift"]


def test_to_lift_what_is_not_held_costs_one_statement(saga: Definition) -> None:
    connection.ensure_connection()
    with counted() as statements:
        assert lift_partner("bank", **SHUT) == 0
    assert len(statements) == 1, statements
    assert audited() == []


def test_a_pace_at_which_nothing_goes_on_is_refused(saga: Definition) -> None:
    held = placed()
    with pytest.raises(VerbRefused, match="more than 0"):
        lift_partner("bank", **SHUT, per_second=0)
    assert list(in_force()) == [held]


# --- one is let through --------------------------------------------------------------------


@pytest.mark.parametrize("message", ["flow/1", ""], ids=["first claim", "planned claim"])
def test_one_run_asks_the_partner_while_twenty_others_wait(
    saga: Definition, actor: Actor, post: Post, message: str
) -> None:
    held = placed()
    first, *others = waiting(saga, 21)
    post.drop_all()
    assert probe() == first
    assert waiting_under(Hold.objects.get(pk=held.pk)) == 20
    for run_id in others:
        carried(run_id, "a", "b", "c", saga=message)
    assert actor.calls == []
    assert post.count() == 1
    carried(first, "a", "b", "c", saga=message)
    assert (actor.calls, status(first)) == (["do a", "do b", "do c"], "succeeded")
    assert {states(run_id)["a"] for run_id in others} == {"ready"}


def test_it_is_sent_at_once_and_if_the_message_is_lost_by_a_sweep(
    saga: Definition, post: Post
) -> None:
    placed()
    first, second = waiting(saga, 2)
    for run_id in (second, first):
        lapse(run_id)
    Step.objects.filter(run=first).update(due_at=timezone.now() - 10 * _SECOND)
    assert sweep() == 0
    sent = post.count()
    assert probe() == first
    assert post.count() == sent + 1
    post.drop_all()
    Run.objects.filter(pk=first).update(wake_at=F("wake_at") - 2 * _SECOND)
    assert sweep() == 1
    delivered(post)
    assert status(first) == "succeeded"


def test_a_sweep_looks_at_it_as_at_any_other(saga: Definition) -> None:
    placed()
    first, second = waiting(saga, 2)
    looks = [next_look(saga, record.read(run_id)) for run_id in (first, second)]
    assert min(look for look in looks if look) >= 300
    probe()
    looks = [next_look(saga, record.read(run_id)) for run_id in (first, second)]
    assert looks[0] is not None
    assert looks[0] <= 60
    found = {view.id: view.holds for view in record.read_many([first, second])}
    assert found == {first: frozenset(), second: frozenset({"partner:bank"})}


@together
def test_the_same_one_is_given_to_all_while_it_is_about_to_ask_or_asks(
    saga: Definition, actor: Actor
) -> None:
    placed()
    first, _ = waiting(saga, 2)
    assert at_once(*[probe] * 4) == [first] * 4
    seen: list[UUID | None] = []

    def asks(run: Any) -> None:
        seen.append(probe())

    actor.answers["do a"] = asks
    carried(first, "a", "b")
    assert seen == [first]
    assert [verb for _, verb in audited()] == ["hold", "let through"]
    entry = AuditEntry.objects.order_by("-number")[0]
    assert (entry.actor, entry.run, entry.saga) == ("system:circuit-breaker", first, "flow")
    assert (entry.subject, entry.after) == ("partner bank", {"let through": str(first)})


def test_the_next_has_its_turn_when_the_partner_was_not_back(
    saga: Definition, actor: Actor
) -> None:
    placed()
    first, second, third = waiting(saga, 3)
    actor.answers["do a"] = RetryLater("down", after=20.0)
    for expected in (first, second, third):
        assert probe() == expected
        carried(expected, "a", saga="")
    assert probe() is None
    lapse(second)
    assert probe() == second
    assert row(first, "a").tries == 1
    carried(first, "a", saga="")
    assert actor.calls == ["do a"] * 3


@pytest.mark.parametrize(
    "away",
    [
        pytest.param(outgrown, id="that does not fit the code"),
        pytest.param(
            lambda run_id: Step.objects.filter(run=run_id).update(
                due_at=timezone.now() + 900 * _SECOND
            ),
            id="that waits for its time",
        ),
        pytest.param(lambda run_id: pause(run_id, **WHY), id="that is paused"),
        pytest.param(lambda run_id: Step.objects.filter(run=run_id).delete(), id="that is gone"),
    ],
)
def test_a_run_gives_way_to_the_next(saga: Definition, away: Callable[[UUID], object]) -> None:
    placed()
    first, second = waiting(saga, 2)
    assert probe() == first
    away(first)
    assert probe() == second


def test_but_not_because_no_worker_has_had_time_for_it(saga: Definition) -> None:
    """Else, in a long queue, each would be passed over just before its turn."""
    placed()
    first, _ = waiting(saga, 2)
    assert probe() == first
    Hold.objects.update(
        placed_at=F("placed_at") - 3600 * _SECOND, probed_at=F("probed_at") - 3600 * _SECOND
    )
    assert probe() == first


def test_of_a_queue_that_no_worker_reads_none_is_let_through(
    saga: Definition, known: Known, actor: Actor
) -> None:
    served = known(flow([actor.step("a", queue="served", partner="bank")], "served"))
    placed()
    first, _ = waiting(saga, 2)
    last = begun(served)
    reads("served")
    assert probe() == last
    Worker.objects.all().delete()
    Step.objects.filter(run=last).update(due_at=timezone.now() + 60 * _SECOND)
    assert probe() == first  # nobody has said what is read
    reads("served")
    assert probe() is None
    reads("payments")
    assert probe() == first


def test_where_the_first_are_stuck_every_run_has_its_turn(saga: Definition) -> None:
    placed()
    runs = waiting(saga, 3)
    outgrown(*runs)
    assert [probe() for _ in range(7)] == [*runs, *runs, runs[0]]


def test_none_is_let_through_that_something_else_stops_too(
    saga: Definition, known: Known, actor: Actor
) -> None:
    other = known(flow([actor.step("a", partner="bank")], "other"))
    placed()
    first, second, _ = waiting(saga, 3)
    fourth = begun(other)
    pause(first, **WHY)
    assert probe() == second
    for kind, target in (("queue", "payments"), ("saga", "other"), ("partner", "bank")):
        held = hold(kind, target, **WHY)
        expected = {"queue": fourth, "saga": second, "partner": None}[kind]
        assert probe() == expected, kind
        lift(held.pk, **WHY)


def test_one_that_would_turn_back_instead_comes_last(saga: Definition, post: Post) -> None:
    placed()
    first, second = waiting(saga, 2)
    Run.objects.filter(pk=first).update(deadline_at=F("created_at"))
    assert probe() == second
    carried(second, "a", "b", "c")
    assert probe() == first


def test_none_is_let_through_if_none_waits_or_nothing_is_held(
    saga: Definition, actor: Actor
) -> None:
    waiting(saga, 1)
    assert probe() is None
    placed()
    Step.objects.update(due_at=timezone.now() + 60 * _SECOND)
    assert probe() is None
    actor.answers["do a"] = Wait(9000.0)
    assert Hold.objects.get().probe is None


def test_when_the_hold_is_lifted_the_others_drain_and_the_one_let_through_goes_its_way(
    saga: Definition, post: Post
) -> None:
    placed()
    runs = waiting(saga, 4)
    assert probe() == runs[0]
    assert lift_partner("bank", **SHUT, per_second=0.01) == 3
    Run.objects.update(wake_at=F("wake_at") - 2 * _SECOND)
    assert sweep() == 1
    delivered(post)
    assert [status(run_id) for run_id in runs] == ["succeeded"] + ["pending"] * 3
    Run.objects.update(wake_at=F("wake_at") - 400 * _SECOND)
    assert sweep() == 3
    delivered(post)
    assert {status(run_id) for run_id in runs} == {"succeeded"}


def test_a_run_that_is_let_through_carries_its_next_step_of_that_partner(
    saga: Definition, actor: Actor
) -> None:
    """The claim of the next step, in the statement that records the first, lets it by too."""
    placed()
    (first,) = waiting(saga, 1)
    assert probe() == first
    with counted() as statements:
        carried(first, "a", "b", "c", saga="")
    assert status(first) == "succeeded"
    assert len([s for s in statements if "sagas_event" in s]) == 4


# --- all of it -----------------------------------------------------------------------------


def test_while_a_partner_is_down_no_attempt_is_spent_and_no_run_fails(
    saga: Definition, actor: Actor, post: Post
) -> None:
    """A breaker that opens, lets one through now and then, and shuts again."""
    runs = waiting(saga, 30)
    actor.answers["do a"] = NotAsked("the breaker is open", after=30.0)
    for run_id in runs[:10]:
        carried(run_id, "a", "b", "c")
    post.drop_all()
    placed()
    for run_id in runs:
        lapse(run_id)
    assert (sweep(), post.count()) == (0, 0)
    tried = runs[0]
    for _ in range(5):
        tried = probe() or tried
        delivered(post)
        assert row(tried, "a").status == "waiting"
    assert len(actor.calls) == 15
    assert {(row(r, "a").tries, status(r)) for r in runs} <= {(0, "pending"), (0, "running")}
    actor.answers["do a"] = None
    for run_id in runs:
        lapse(run_id)
    assert (probe(), sweep()) == (tried, 1)  # its time has come again, and it is still let through
    delivered(post)
    assert status(tried) == "succeeded"
    assert lift_partner("bank", **SHUT, per_second=1000) == 29
    Run.objects.update(wake_at=F("wake_at") - 2 * _SECOND)
    assert sweep() == 29
    delivered(post)
    assert {(row(run_id, "a").tries, status(run_id)) for run_id in runs} == {(1, "succeeded")}


# --- until a moment ------------------------------------------------------------------------

QUOTA: dict[str, Any] = {"source": "quota", "reason": "its quota is spent"}


def placed_for(seconds: float, **more: Any) -> Hold:
    found = hold_partner("bank", **QUOTA, seconds=seconds, **more)
    assert found is not None
    return found


def time_passes(held: Hold, seconds: float) -> None:
    moved = {name: F(name) - seconds * _SECOND for name in ("placed_at", "ends_at")}
    Hold.objects.filter(pk=held.pk).update(**moved)


def test_a_hold_ends_by_itself_when_its_time_is_over_and_not_before(
    saga: Definition, actor: Actor
) -> None:
    run_id = begun(saga)
    held = placed_for(1800)
    assert held.ends_at is not None
    assert held.ends_at - held.placed_at == 1800 * _SECOND
    time_passes(held, 1790)
    assert lift_ended() == 0
    carried(run_id, "a")
    assert (actor.calls, list(in_force())) == ([], [held])
    time_passes(held, 11)
    assert lift_ended() == 1
    carried(run_id, "a", "b", "c")
    assert actor.calls == ["do a", "do b", "do c"]


def test_the_audit_says_until_when_and_that_its_time_was_over(saga: Definition) -> None:
    held = placed_for(60)
    assert held.ends_at is not None
    time_passes(held, 61)
    lift_ended()
    first, second = AuditEntry.objects.order_by("number")
    until = held.ends_at.isoformat(timespec="seconds")
    assert (first.actor, first.verb, first.after) == (
        "system:quota", "hold", {"held": True, "until": until},
    )  # fmt: skip
    assert (second.actor, second.verb, second.reason) == (
        "system:quota", "lift", "its time is over",
    )  # fmt: skip


def test_what_waited_goes_on_at_the_pace_that_was_named(saga: Definition) -> None:
    held = placed_for(60, per_second=0.1)
    runs = waiting(saga, 3)
    time_passes(held, 61)
    assert lift_ended() == 3
    wakes = [(run_of(r).wake_at - timezone.now()).total_seconds() for r in runs]  # type: ignore[operator]
    assert wakes == pytest.approx([10, 20, 30], abs=5)


def test_a_pace_of_none_is_refused_when_it_is_placed(saga: Definition) -> None:
    with pytest.raises(VerbRefused, match="more than 0"):
        placed_for(60, per_second=-1)
    assert not Hold.objects.exists()


@together
def test_of_several_workers_at_its_end_one_lifts_it(saga: Definition) -> None:
    held = placed_for(60)
    waiting(saga, 3)
    time_passes(held, 61)
    assert sorted(at_once(*[lift_ended] * 5)) == [0, 0, 0, 0, 3]
    assert [verb for _, verb in audited()] == ["hold", "lift"]


def test_a_second_moment_changes_nothing_while_it_is_in_force(saga: Definition) -> None:
    held = placed_for(60)
    for seconds in (1, 3600):
        assert hold_partner("bank", **QUOTA, seconds=seconds) is None
    assert [h.ends_at for h in Hold.objects.all()] == [held.ends_at]


def test_it_lifts_neither_a_persons_hold_nor_another_automatisms(
    saga: Definition, actor: Actor
) -> None:
    run_id = begun(saga)
    persons, breakers = hold("partner", "bank", **WHY), placed()
    time_passes(placed_for(60), 61)
    lift_ended()
    assert set(in_force()) == {persons, breakers}
    assert (persons.ends_at, breakers.ends_at) == (None, None)
    carried(run_id, "a")
    assert actor.calls == []


def test_a_person_lifts_it_before_its_end_and_that_end_lifts_nothing_new(
    saga: Definition,
) -> None:
    first = placed_for(60)
    lift(first.pk, **WHY)
    time_passes(first, 61)
    second = placed_for(60)
    assert lift_ended() == 0
    assert list(in_force()) == [second]


@pytest.mark.parametrize(
    ("asked", "lasts"), [(-5.0, 0.0), (1e12, LONGEST_HOLD), (float("inf"), LONGEST_HOLD)]
)
def test_a_time_that_makes_no_sense_is_bounded(
    saga: Definition, asked: float, lasts: float
) -> None:
    held = placed_for(asked)
    assert held.ends_at is not None
    assert (held.ends_at - held.placed_at).total_seconds() == pytest.approx(lasts, abs=1)


def test_to_look_for_what_has_ended_costs_one_statement(saga: Definition) -> None:
    placed_for(60)
    with counted() as statements:
        assert lift_ended() == 0
    assert len(statements) == 1, statements


@together
def test_what_was_asked_before_it_was_lifted_does_not_place_it_again(saga: Definition) -> None:
    asked = timezone.now()
    held = placed_for(60)
    lift(held.pk, **WHY)
    assert hold_partner("bank", **QUOTA, seconds=60, since=asked) is None
    assert audited() == [("system:quota", "hold"), ("ann", "lift")]
    assert hold_partner("bank", **QUOTA, seconds=60, since=timezone.now()) is not None


@together
def test_so_it_is_if_another_places_it_meanwhile_and_it_is_lifted_at_once(
    saga: Definition,
) -> None:
    asked, place = timezone.now(), holding.place

    def later(*args: Any, **more: Any) -> Hold | None:
        with patch.object(holding, "place", place):
            lift(placed_for(60).pk, **WHY)
        return place(*args, **more)

    with patch.object(holding, "place", later):
        assert hold_partner("bank", **QUOTA, seconds=60, since=asked) is None
    assert not in_force().exists()

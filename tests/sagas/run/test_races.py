"""Messages and workers at the same moment, on connections of their own: each effect once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest

from sagas.define.outcome import NotApplied, Refused, Unknown
from sagas.errors import KeyConflict
from sagas.models import Event, Run
from sagas.run.start import Started, start
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, pivot
from tests.sagas.order import Paused
from tests.sagas.stage import (
    BACKWARD,
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
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)
_TIMES = 15


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _post(post: Post) -> Post:
    return post


def together(*actions: Callable[[], object]) -> list[Any]:
    """What each returned; none of them may fail."""
    outcomes = at_once(*actions)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
    return outcomes


def late_answers(run_id: UUID) -> list[tuple[int, str]]:
    """Attempt and answer of each that was refused."""
    events = Event.objects.filter(run=run_id, data__has_key="late_answer")
    return [(event.attempt, event.data["late_answer"]) for event in events.order_by("id")]


def claims(run_id: UUID, step: str, way: str = "forward") -> list[int]:
    """The attempts of a step that were claimed."""
    events = Event.objects.filter(run=run_id, step=step, direction=way, new="in_flight")
    return list(events.order_by("id").values_list("attempt", flat=True))


# --- many starts ---------------------------------------------------------------------------


def test_of_twenty_starts_under_one_key_with_two_payloads_one_creates_the_run(
    known: Known, post: Post
) -> None:
    saga = known(flow(["a", "b"]))
    for number in range(5):
        key = f"order:{number}"
        sent = post.count()
        payloads = [Payload(number=n % 2) for n in range(20)]
        outcomes = at_once(*(partial(start, saga, payload, key=key) for payload in payloads))
        kinds = Counter(type(outcome) for outcome in outcomes)
        assert kinds == {Started: 10, KeyConflict: 10}
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Started)]
        assert sum(receipt.created for receipt in receipts) == 1
        assert {receipt.id for receipt in receipts} == {Run.objects.get(business_key=key).id}
        assert post.count() == sent + 1


# --- one message, three times at once ------------------------------------------------------


def test_of_three_copies_in_the_middle_of_a_run_one_carries_it_on(
    known: Known, actor: Actor
) -> None:
    saga = known(flow([*actor.steps("ab"), actor.step("c", queue="other"), *actor.steps("d")]))
    for _ in range(_TIMES):
        run_id = begun(saga)
        carried(run_id, "a")
        actor.calls.clear()
        together(*[partial(carried, run_id, "c", "d")] * 3)
        assert actor.calls == ["do c"]
        together(*[partial(carried, run_id, "d")] * 3)
        assert actor.calls == ["do c", "do d"]
        assert (status(run_id), claims(run_id, "c"), claims(run_id, "d")) == ("succeeded", [1], [1])
        assert told(run_id).problems == []


def test_of_three_copies_whose_step_is_done_one_takes_the_next_of_their_chain(
    known: Known, actor: Actor
) -> None:
    """The first worker died after its commit, before it published the rest of the chain."""
    saga = known(flow(actor.steps("abc"), hop=True))
    for _ in range(_TIMES):
        run_id = begun(saga)
        carried(run_id, "a", "b", "c")
        actor.calls.clear()
        together(*[partial(carried, run_id, "a", "b", "c")] * 3)
        assert (actor.calls.count("do b"), claims(run_id, "b")) == (1, [1])
        assert actor.calls.count("do c") <= 1  # a copy that came after b is done goes on to c
        assert "do a" not in actor.calls
        assert told(run_id).problems == []


def test_of_three_copies_of_a_compensations_message_one_undoes(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("abc"), hop=True))
    actor.answers["do c"] = Refused("no")
    for _ in range(_TIMES):
        run_id = begun(saga)
        for step in "abc":
            carried(run_id, step)
        actor.calls.clear()
        together(*[partial(carried, run_id, "b", way=BACKWARD, epoch=2)] * 3)
        together(*[partial(carried, run_id, "a", way=BACKWARD, epoch=2)] * 3)
        assert actor.calls == ["undo b", "undo a"]
        assert (status(run_id), run_of(run_id).epoch) == ("compensated", 2)
        assert claims(run_id, "b", "backward") == claims(run_id, "a", "backward") == [1]


def test_of_three_copies_for_a_step_in_doubt_one_verifies(known: Known, actor: Actor) -> None:
    saga = known(flow([actor.step("a", verified=True), *actor.steps("b")], hop=True))
    actor.answers |= {"do a": Unknown("reset"), "verify a": NotApplied()}
    for _ in range(_TIMES):
        run_id = begun(saga)
        carried(run_id, "a")
        lapse(run_id)
        actor.calls.clear()
        actor.answers["do a"] = None
        together(*[partial(carried, run_id, "a")] * 3)
        actor.answers["do a"] = Unknown("reset")
        assert actor.calls.count("verify a") == 1
        assert actor.calls.count("do a") <= 1  # a copy that came after the verdict does it
        assert told(run_id).problems == []


# --- messages in the wrong order -----------------------------------------------------------


def test_a_message_that_overtakes_the_one_before_it_is_dropped(known: Known, actor: Actor) -> None:
    """The third step's message comes while the second is in flight, and before it was claimed."""
    saga = known(flow(actor.steps("abcd"), hop=True))
    run_id = begun(saga)
    carried(run_id, "a")
    assert carried(run_id, "c", "d") == []
    actor.answers["do b"] = paused = Paused()
    with ThreadPoolExecutor(1) as other:
        second = other.submit(elsewhere, partial(carried, run_id, "b", "c", "d"))
        paused.until_called()
        assert carried(run_id, "c", "d") == []
        assert states(run_id)["c"] == "pending"
        paused.let_go()
        assert second.result(10) == ["c", "d"]
    assert actor.calls == ["do a", "do b"]
    assert states(run_id)["c"] == "ready"


def test_two_messages_in_the_wrong_order_at_the_same_moment_keep_the_order_of_the_steps(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("abc"), hop=True))
    for number in range(_TIMES):
        run_id = begun(saga)
        carried(run_id, "a")
        actor.calls.clear()
        messages = [partial(carried, run_id, "c"), partial(carried, run_id, "b")]
        together(*(messages if number % 2 else reversed(messages)))
        assert actor.calls in (["do b"], ["do b", "do c"])
        assert told(run_id).problems == []


def test_two_compensations_in_the_wrong_order_at_the_same_moment_are_undone_in_reverse(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("abc"), hop=True))
    actor.answers["do c"] = Refused("no")
    for number in range(_TIMES):
        run_id = begun(saga)
        for step in "abc":
            carried(run_id, step)
        actor.calls.clear()
        messages = [partial(carried, run_id, s, way=BACKWARD, epoch=2) for s in "ab"]
        together(*(messages if number % 2 else reversed(messages)))
        assert actor.calls in (["undo b"], ["undo b", "undo a"])
        assert told(run_id).problems == []


def test_a_forward_message_at_the_moment_of_turning_back_does_nothing(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("abc"), hop=True))
    actor.answers["do b"] = Refused("no")
    for _ in range(_TIMES):
        run_id = begun(saga)
        carried(run_id, "a")
        actor.calls.clear()
        together(partial(carried, run_id, "b"), partial(carried, run_id, "c"))
        assert actor.calls == ["do b"]
        assert (status(run_id), states(run_id)["c"]) == ("compensating", "pending")


# --- zombies -------------------------------------------------------------------------------


def zombie_and_heir(
    run_id: UUID, actor: Actor, step: str, first: object, second: object, **message: Any
) -> None:
    """Attempt 1 freezes in the call, attempt 2 takes over, and both answer at the same moment."""
    both, verb = Barrier(2), "undo" if "way" in message else "do"
    frozen = Paused()

    def freeze(run: Any) -> object:
        frozen(run)
        both.wait(10)
        return first

    def inherit(run: Any) -> object:
        frozen.let_go()
        both.wait(10)
        return second

    def take_over() -> None:
        frozen.until_called()
        actor.answers[f"{verb} {step}"] = inherit
        lapse(run_id)
        carried(run_id, step, **message)

    actor.answers[f"{verb} {step}"] = freeze
    together(partial(carried, run_id, step, **message), take_over)


@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        (Refused("too late"), None, "succeeded"),
        (None, Refused("no"), "failed"),
        (Unknown("reset"), None, "succeeded"),
    ],
    ids=["refused-done", "done-refused", "unknown-done"],
)
def test_a_zombies_other_answer_never_replaces_its_heirs(
    known: Known, actor: Actor, first: Any, second: Any, stands: str
) -> None:
    tolerant = {"tolerates_nothing": True}
    saga = known(flow([actor.step("a", undo=tolerant), *actor.steps("b")], hop=True))
    for _ in range(_TIMES):
        run_id = begun(saga)
        zombie_and_heir(run_id, actor, "a", first, second)
        found = row(run_id, "a")
        assert (found.status, found.attempt, claims(run_id, "a")) == (stands, 2, [1, 2])
        assert late_answers(run_id) == [(1, type(first).__name__ if first else "Done")]
        answered = Event.objects.filter(run=run_id, step="a", direction="forward", new=stands)
        assert [event.attempt for event in answered] == [2]
        assert told(run_id).problems == []


def test_a_zombie_of_a_compensation_undoes_on_the_record_once(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    for _ in range(_TIMES):
        run_id = begun(saga)
        actor.answers = {"do b": Refused("no")}
        carried(run_id, "a")
        carried(run_id, "b")
        zombie_and_heir(run_id, actor, "a", Refused("409"), None, way=BACKWARD, epoch=2)
        assert (status(run_id), row(run_id, "a", BACKWARD).attempt) == ("compensated", 2)
        assert late_answers(run_id) == [(1, "Refused")]
        assert told(run_id).problems == []


def test_a_zombie_that_answers_just_when_it_is_taken_over_wins_or_is_refused(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    winners: Counter[int] = Counter()
    for _ in range(2 * _TIMES):
        run_id, both, frozen = begun(saga), Barrier(2), Paused()
        actor.answers["do a"] = _first_at(both, frozen)

        def take_over(run_id: UUID = run_id, both: Barrier = both, frozen: Paused = frozen) -> None:
            frozen.until_called()
            actor.answers["do a"] = None
            lapse(run_id)
            frozen.let_go()
            both.wait(10)
            carried(run_id, "a")

        together(partial(carried, run_id, "a"), take_over)
        found = row(run_id, "a")
        winners[found.attempt] += 1
        assert found.status == "succeeded"
        assert Event.objects.filter(run=run_id, step="a", new="succeeded").count() == 1
        assert late_answers(run_id) == ([] if found.attempt == 1 else [(1, "Done")])
        assert told(run_id).problems == []
    assert set(winners) <= {1, 2}


def _first_at(both: Barrier, frozen: Paused) -> Callable[[Any], object]:
    def answer(run: Any) -> object:
        frozen(run)
        both.wait(10)
        return None

    return answer


def test_a_zombie_that_wakes_when_its_run_has_turned_back_moves_no_step(
    known: Known, actor: Actor
) -> None:
    """Its heir was refused; it says "done" at the same moment as the first compensation does."""
    saga = known(flow([*actor.steps("a"), actor.step("b", undo={"tolerates_nothing": True})]))
    for _ in range(_TIMES):
        run_id, both, frozen = begun(saga), Barrier(2), Paused()
        actor.answers = {"do b": _first_at(both, frozen), "undo b": lambda run, t=both: t.wait(10)}

        def take_over(run_id: UUID = run_id, frozen: Paused = frozen) -> None:
            frozen.until_called()
            actor.answers["do b"] = Refused("no")
            lapse(run_id)
            frozen.let_go()
            carried(run_id, "b")

        together(partial(carried, run_id, "a"), take_over)
        assert run_of(run_id).epoch == 2
        assert states(run_id) == {"a": "succeeded", "b": "failed"}
        assert states(run_id, BACKWARD) == {"a": "succeeded", "b": "succeeded"}
        assert late_answers(run_id) == [(1, "Done")]
        assert status(run_id) == _after_a_late_success(run_id, "b")
        assert told(run_id).problems == []


def _after_a_late_success(run_id: UUID, step: str) -> str:
    """A person is needed if it came when the step had been undone, and the run was not over."""
    events = Event.objects.filter(run=run_id)
    late = events.get(data__has_key="late_answer")
    undone = events.get(step=step, direction="backward", new="succeeded")
    assert late.data.get("stray", False) == (late.pk > undone.pk)
    over = events.filter(step="", new="compensated").first()
    parks = late.pk > undone.pk and (over is None or late.pk < over.pk)
    return "needs_attention" if parks else "compensated"


def test_a_zombie_of_the_pivot_cannot_have_the_run_finished_twice(
    known: Known, actor: Actor
) -> None:
    saga = known(flow([pivot(actor.step("p")), *actor.steps("b")]))
    for _ in range(_TIMES):
        run_id = begun(saga)
        actor.calls.clear()
        zombie_and_heir(run_id, actor, "p", None, None)
        assert actor.calls == ["do p", "do p", "do b"]  # the partner knows the key
        assert (status(run_id), late_answers(run_id)) == ("succeeded", [(1, "Done")])
        assert Event.objects.filter(run=run_id, step="", new="succeeded").count() == 1


def test_of_three_who_take_over_at_the_moment_the_lease_ends_one_does(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    actor.answers["do b"] = Refused("no")
    for _ in range(_TIMES):
        run_id = begun(saga)
        carried(run_id, "a")
        carried(run_id, "b")
        with patch("sagas.run.dispatch.attempt", return_value=None):
            carried(run_id, "a", way=BACKWARD, epoch=2)
        actor.calls.clear()
        lapse(run_id)
        together(*[partial(carried, run_id, "a", way=BACKWARD, epoch=2)] * 3)
        assert actor.calls == ["undo a"]
        assert claims(run_id, "a", "backward") == [1, 2]
        assert status(run_id) == "compensated"

"""People and workers at the same moment: one wins, and the others are told what happened."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import transaction

from sagas.define.outcome import RetryLater
from sagas.define.saga import Definition
from sagas.define.step import Step, wait_for
from sagas.errors import CancelRefused
from sagas.models import Event, Signal
from sagas.operate.cancel import cancel
from sagas.operate.signal import send_signal
from sagas.run import points
from sagas.states import RunStatus
from sagas.testing.post import Post
from tests.sagas.flows import flow, pivot
from tests.sagas.order import Paused, one_before_the_other, tried
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    elsewhere,
    row,
    run_of,
    states,
    status,
    told,
    until_blocked,
)

pytestmark = pytest.mark.django_db(transaction=True)
_TIMES = 15
_MANY = 20


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def paid(**options: Any) -> Step:
    return wait_for("paid", timeout=timedelta(hours=1), **options)


def flagged(run_id: UUID) -> int:
    """How often the run was told to turn back."""
    return Event.objects.filter(run=run_id, data__has_key="halting").count()


def said(outcome: object) -> str:
    """What a caller was told, without the run's id."""
    return str(outcome).split("cancelled: ")[-1]


# --- one button, many times ----------------------------------------------------------------


def test_of_twenty_cancels_during_a_step_one_raises_the_flag(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("ab")))
    for _ in range(5):
        run_id = begun(saga)
        actor.calls.clear()
        actor.answers["do a"] = paused = Paused()
        with ThreadPoolExecutor(1) as other:
            worker = other.submit(elsewhere, partial(carried, run_id, "a"))
            paused.until_called()
            assert at_once(*[partial(cancel, run_id)] * _MANY) == [RunStatus.RUNNING] * _MANY
            paused.let_go()
            worker.result(10)
        assert (flagged(run_id), run_of(run_id).epoch) == (1, 2)
        assert actor.calls == ["do a", "undo a"]
        assert status(run_id) == "compensated"
        assert told(run_id).problems == []


def test_of_twenty_cancels_of_a_run_that_has_not_begun_one_ends_it(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("ab")))
    for _ in range(5):
        run_id = begun(saga)
        assert at_once(*[partial(cancel, run_id)] * _MANY) == [RunStatus.COMPENSATED] * _MANY
        ends = Event.objects.filter(run=run_id, step="", new="compensated")
        assert (ends.count(), flagged(run_id)) == (1, 1)


def test_of_twenty_signals_with_one_id_one_is_the_result_and_the_others_are_told(
    known: Known,
) -> None:
    saga = known(flow([paid(), "b"]))
    for number in range(5):
        key = f"order:{number}"
        run_id = begun(saga, key=key)
        carried(run_id, "paid")
        sends = [
            partial(send_signal, "paid", key, n, deduplication_id="evt_1") for n in range(_MANY)
        ]
        outcomes = at_once(*sends)
        assert Counter(outcomes) == {True: 1, False: _MANY - 1}
        carried(run_id, "paid")
        assert row(run_id, "paid").result == outcomes.index(True)
        assert Signal.objects.filter(correlation=key).count() == 1
        assert told(run_id).problems == []


# --- two people ----------------------------------------------------------------------------


def waiting(saga: Definition, *before: str, key: str) -> UUID:
    """A run that waits for ``paid``."""
    run_id = begun(saga, key=key)
    for step in (*before, "paid"):
        carried(run_id, step)
    assert states(run_id)["paid"] == "waiting"
    return run_id


def test_a_signal_that_comes_just_after_a_cancel_is_kept_and_moves_nothing(
    known: Known, actor: Actor
) -> None:
    run_id = waiting(known(flow([*actor.steps("a"), paid(), *actor.steps("b")])), "a", key="k")
    outcomes = one_before_the_other(
        partial(cancel, run_id), partial(send_signal, "paid", "k", 7, deduplication_id="e")
    )
    assert outcomes == (RunStatus.COMPENSATING, False)
    assert states(run_id) == {"a": "succeeded", "paid": "pending", "b": "pending"}
    assert Signal.objects.get().taken_at is None


def test_a_cancel_that_comes_just_after_a_signal_wins_and_leaves_it_untaken(
    known: Known, actor: Actor
) -> None:
    run_id = waiting(known(flow([*actor.steps("a"), paid(), *actor.steps("b")])), "a", key="k")
    outcomes = one_before_the_other(
        partial(send_signal, "paid", "k", 7), partial(tried, partial(cancel, run_id))
    )
    assert outcomes == (True, RunStatus.COMPENSATING)
    assert states(run_id) == {"a": "succeeded", "paid": "pending", "b": "pending"}
    assert states(run_id, BACKWARD) == {"a": "ready"}
    assert Signal.objects.get().taken_at is None


def test_a_cancel_that_comes_while_a_step_has_its_signal_turns_back_what_it_did(
    known: Known, actor: Actor
) -> None:
    saga = known(flow([*actor.steps("a"), paid(), *actor.steps("b")]))
    for number in range(_TIMES):
        run_id = waiting(saga, "a", key=f"order:{number}")
        assert send_signal("paid", f"order:{number}", 7)
        at_once(partial(cancel, run_id), partial(carried, run_id, "paid"))
        assert status(run_id) in ("compensating", "compensated")
        taken = Signal.objects.get(correlation=f"order:{number}").taken_at is not None
        assert (states(run_id)["paid"] == "succeeded") is taken
        assert told(run_id).problems == []


def test_a_cancel_and_a_signal_at_the_same_moment_turn_back_and_keep_the_signal(
    known: Known, actor: Actor
) -> None:
    saga = known(flow([*actor.steps("a"), paid()]))
    for number in range(2 * _TIMES):
        key = f"order:{number}"
        run_id = waiting(saga, "a", key=key)
        acts = [partial(cancel, run_id), partial(send_signal, "paid", key)]
        outcomes = at_once(*(acts if number % 2 else reversed(acts)))
        cancelled, delivered = outcomes if number % 2 else reversed(outcomes)
        assert cancelled == RunStatus.COMPENSATING
        assert status(run_id) == "compensating"
        signal = Signal.objects.get(correlation=key)
        assert (signal.taken_by is not None, signal.taken_at) == (delivered, None)
        assert told(run_id).problems == []


def test_past_the_pivot_a_signal_wins_against_a_cancel_in_either_order(
    known: Known, actor: Actor
) -> None:
    saga = known(flow([pivot(actor.step("p")), paid(on_timeout="continue")]))
    for number in range(_TIMES):
        run_id = waiting(saga, "p", key=f"order:{number}")
        send = partial(send_signal, "paid", f"order:{number}")
        refused, delivered = at_once(partial(cancel, run_id), send)
        assert isinstance(refused, CancelRefused)
        assert said(refused) == "it has passed its pivot and must finish."
        carried(run_id, "paid")
        assert (delivered, status(run_id)) == (True, "succeeded")
        assert states(run_id, BACKWARD) == {}


# --- a cancel and the end ------------------------------------------------------------------


def cancelled_just_before_the_answer(
    run_id: UUID, actor: Actor, message: tuple[str, ...], answer: object = None
) -> RunStatus:
    """A cancel that commits while the answer of the step in flight is being recorded."""
    actor.answers[f"do {message[-1]}"] = paused = Paused(answer)
    with ThreadPoolExecutor(1) as other:
        worker = other.submit(elsewhere, partial(carried, run_id, message[0]))
        paused.until_called()
        with transaction.atomic():
            outcome = cancel(run_id)
            paused.let_go()
            until_blocked()
        worker.result(10)
    return outcome


def test_a_cancel_that_commits_just_before_the_last_answer_undoes_all_of_it(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert cancelled_just_before_the_answer(run_id, actor, ("a", "b")) == RunStatus.RUNNING
    assert actor.calls == ["do a", "do b", "undo b", "undo a"]
    assert (status(run_id), run_of(run_id).halt) == ("compensated", "cancelled")
    assert told(run_id).problems == []


def test_a_cancel_that_commits_just_before_the_pivots_answer_is_dropped(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow([*actor.steps("a"), pivot(actor.step("p")), *actor.steps("b")])))
    assert cancelled_just_before_the_answer(run_id, actor, ("a", "p")) == RunStatus.RUNNING
    assert actor.calls == ["do a", "do p", "do b"]
    assert (status(run_id), run_of(run_id).halt) == ("succeeded", "")
    assert states(run_id, BACKWARD) == {}
    assert told(run_id).problems == []


def test_or_honoured_if_the_pivot_did_nothing(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow([*actor.steps("a"), pivot(actor.step("p"))])))
    busy = RetryLater("busy", after=60.0)
    assert cancelled_just_before_the_answer(run_id, actor, ("a", "p"), busy) == RunStatus.RUNNING
    assert actor.calls == ["do a", "do p", "undo a"]
    assert status(run_id) == "compensated"


def cancelled_at_k4(run_id: UUID, step: str) -> list[Any]:
    """Carry a run; a person cancels when that step's outcome is committed, and nothing sent yet."""
    told_to: list[Any] = []

    def at(point: str, name: str, direction: str) -> None:
        if (point, name, direction) == ("K4", step, "forward"):
            told_to.extend(at_once(partial(cancel, run_id)))

    with patch.object(points, "on_reached", at):
        carried(run_id, "a")
    return told_to


def test_a_cancel_just_after_the_last_outcome_comes_too_late_and_is_told_so(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    (refused,) = cancelled_at_k4(run_id, "b")
    assert isinstance(refused, CancelRefused)
    assert said(refused) == "it has succeeded."
    assert actor.calls == ["do a", "do b"]
    assert status(run_id) == "succeeded"


def test_a_cancel_just_after_the_pivots_outcome_comes_too_late_and_is_told_so(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow([*actor.steps("a"), pivot(actor.step("p")), *actor.steps("b")])))
    (refused,) = cancelled_at_k4(run_id, "p")
    assert isinstance(refused, CancelRefused)
    assert said(refused) == "it has passed its pivot and must finish."
    assert actor.calls == ["do a", "do p", "do b"]
    assert (status(run_id), flagged(run_id)) == ("succeeded", 0)


def test_a_cancel_between_an_outcome_and_the_next_step_waits_for_the_step_that_was_claimed_with_it(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("abc"))))
    assert cancelled_at_k4(run_id, "a") == [RunStatus.RUNNING]
    assert actor.calls == ["do a", "do b", "undo b", "undo a"]
    assert status(run_id) == "compensated"


def test_a_cancel_between_an_outcome_and_its_hop_turns_back_and_the_hop_does_nothing(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    assert cancelled_at_k4(run_id, "a") == [RunStatus.COMPENSATING]
    carried(run_id, "b")
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert actor.calls == ["do a", "undo a"]
    assert status(run_id) == "compensated"


@pytest.mark.parametrize("pivots", [True, False], ids=["pivot", "no-pivot"])
def test_a_cancel_at_the_moment_of_the_last_answer_has_one_winner(
    known: Known, actor: Actor, pivots: bool
) -> None:
    last = actor.step("z")
    saga = known(flow([*actor.steps("a"), pivot(last) if pivots else last]))
    endings: Counter[str] = Counter()
    for _ in range(2 * _TIMES):
        run_id, both = begun(saga), Barrier(2)
        actor.answers["do z"] = lambda run, t=both: t.wait(10) and None
        actor.calls.clear()

        def ask(run_id: UUID = run_id, both: Barrier = both) -> RunStatus:
            both.wait(10)
            return cancel(run_id)

        _, outcome = at_once(partial(carried, run_id, "a"), ask)
        endings[status(run_id)] += 1
        if status(run_id) == "succeeded":
            assert actor.calls == ["do a", "do z"]
            assert isinstance(outcome, CancelRefused) or (pivots and outcome == RunStatus.RUNNING)
        else:
            assert (status(run_id), outcome) == ("compensated", RunStatus.RUNNING)
            assert actor.calls == ["do a", "do z", "undo z", "undo a"]
        assert told(run_id).problems == []
    assert not (pivots and endings["compensated"]), endings

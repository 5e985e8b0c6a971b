"""Atomic steps: their ORM writes commit together with their outcome, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Barrier
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from sagas import db
from sagas.define.backoff import Retry
from sagas.define.outcome import Refused, RetryLater, Unknown, Wait
from sagas.models import Signal
from sagas.operate.cancel import cancel
from sagas.run.start import start
from tests.sagas.flows import flow
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    row,
    states,
    status,
    told,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("post")]


@pytest.fixture
def actor() -> Actor:
    return Actor()


def write(run: Any = None) -> None:
    """The business row that an atomic step writes; any table of ours will do."""
    Signal.objects.create(name="row", correlation="of an atomic step")


def rows() -> int:
    return Signal.objects.count()


def then(answer: Any) -> Callable[[Any], Any]:
    def code(run: Any) -> Any:
        write()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return code


def started(known: Known, actor: Actor, answer: Any, **options: Any) -> UUID:
    actor.answers["do a"] = answer
    return begun(known(flow([actor.step("a", atomic=True, **options), actor.step("b")])))


def test_what_it_writes_commits_with_its_outcome(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, then(None))
    carried(run_id, "a")
    assert (rows(), status(run_id)) == (1, "succeeded")
    assert told(run_id).problems == []


def test_it_runs_inside_a_transaction_and_others_do_not(known: Known, actor: Actor) -> None:
    inside: list[bool] = []
    actor.answers["do b"] = lambda run: inside.append(connection.in_atomic_block)
    run_id = started(known, actor, lambda run: inside.append(connection.in_atomic_block))
    carried(run_id, "a")
    assert inside == [True, False]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Refused("no"), "failed"),
        (RetryLater("busy", 9.0), "ready"),
        (Unknown("reset", 9.0), "ready"),
        (ValueError("bug"), "ready"),
    ],
)
def test_what_it_writes_is_rolled_back_unless_it_is_done(
    known: Known, actor: Actor, answer: Any, state: str
) -> None:
    run_id = started(known, actor, then(answer), retry=Retry(base=9.0, cap=9.0))
    carried(run_id, "a")
    assert (rows(), states(run_id)["a"]) == (0, state)
    assert not row(run_id, "a").in_doubt


def test_what_it_writes_before_it_waits_stays(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, then(Wait(9.0)))
    carried(run_id, "a")
    assert (rows(), states(run_id)["a"]) == (1, "waiting")


def test_a_result_that_cannot_be_stored_rolls_it_back_and_is_not_tried_again(
    known: Known, actor: Actor
) -> None:
    run_id = started(known, actor, then(object()))
    carried(run_id, "a")
    assert (rows(), states(run_id)["a"]) == (0, "failed")


def test_a_database_error_in_its_code_is_rolled_back_and_retried(
    known: Known, actor: Actor
) -> None:
    def clash(run: Any) -> None:
        write()
        db.execute("INSERT INTO sagas_signal (name) VALUES (NULL)")

    run_id = started(known, actor, clash)
    carried(run_id, "a")
    assert (rows(), states(run_id)["a"]) == (0, "ready")
    assert "IntegrityError" in row(run_id, "a").error


def test_a_database_error_that_its_code_swallows_is_rolled_back_too(
    known: Known, actor: Actor
) -> None:
    def clash(run: Any) -> None:
        write()
        try:
            db.execute("INSERT INTO sagas_signal (name) VALUES (NULL)")
        except IntegrityError:
            return

    run_id = started(known, actor, clash)
    carried(run_id, "a")
    assert (rows(), states(run_id)["a"]) == (0, "ready")


def test_a_constraint_that_is_checked_at_commit_rolls_it_back(known: Known, actor: Actor) -> None:
    def clash(run: Any) -> None:
        write()
        Signal.objects.update(taken_by_id=-1)  # a foreign key: deferred

    run_id = started(known, actor, clash)
    carried(run_id, "a")
    assert (rows(), states(run_id)["a"]) == (0, "ready")
    assert row(run_id, "a").error == "IntegrityError at commit"
    assert told(run_id).problems == []


def test_a_worker_that_lost_its_lease_commits_nothing(known: Known, actor: Actor) -> None:
    def freeze(run: Any) -> None:
        write()
        actor.answers["do a"] = then(None)
        _elsewhere(partial(lapse, run_id))
        _elsewhere(partial(carried, run_id, "a"))

    run_id = started(known, actor, freeze)
    carried(run_id, "a")
    assert actor.calls == ["do a", "do a", "do b"]
    assert (rows(), status(run_id)) == (1, "succeeded")
    assert row(run_id, "a").attempt == 2


def test_a_cancel_that_comes_while_it_works_is_not_overwritten(known: Known, actor: Actor) -> None:
    def slow(run: Any) -> None:
        write()
        _elsewhere(lambda: cancel(run.id))

    run_id = started(known, actor, slow)
    carried(run_id, "a")
    assert actor.calls == ["do a", "undo a"]
    assert status(run_id) == "compensated"


def test_it_may_cancel_its_own_run(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, lambda run: cancel(run.id) and None)
    carried(run_id, "a")
    assert actor.calls == ["do a", "undo a"]
    assert status(run_id) == "compensated"


def test_its_compensation_is_atomic_too(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no")
    actor.answers["undo a"] = lambda run: then(RetryLater("busy", 9.0))(run)
    run_id = started(known, actor, None)
    carried(run_id, "a")
    assert (rows(), states(run_id, BACKWARD)) == (0, {"a": "ready"})
    actor.answers["undo a"] = then(None)
    lapse(run_id)
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert (rows(), status(run_id)) == (1, "compensated")


def test_a_lost_one_is_done_again_without_doubt(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, then(None), idempotent=False)
    with patch("sagas.run.dispatch.attempt", return_value=None):
        carried(run_id, "a")
    lapse(run_id)
    carried(run_id, "a")
    assert (rows(), status(run_id)) == (1, "succeeded")


def _elsewhere(action: Callable[[], Any]) -> None:
    """Do it in a thread with a connection of its own."""
    (outcome,) = at_once(action)
    if isinstance(outcome, Exception):
        raise outcome


# --- after the commit ----------------------------------------------------------------------


def hooked(error: BaseException) -> Callable[[Any], None]:
    """Code whose commit calls a hook that raises."""

    def fail() -> None:
        raise error

    def code(run: Any) -> None:
        write()
        transaction.on_commit(fail)

    return code


def test_a_hook_that_fails_after_the_commit_undoes_nothing(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, hooked(ConnectionError("the broker is down")))
    carried(run_id, "a")
    assert actor.calls == ["do a", "do b"]
    assert (rows(), status(run_id)) == (1, "succeeded")
    assert told(run_id).problems == []


def test_a_hook_that_fails_after_the_last_step_undoes_nothing(known: Known, actor: Actor) -> None:
    actor.answers["do a"] = hooked(ConnectionError("the broker is down"))
    run_id = begun(known(flow([actor.step("a", atomic=True)])))
    carried(run_id, "a")
    assert (actor.calls, rows(), status(run_id)) == (["do a"], 1, "succeeded")


def test_a_hook_that_ends_the_process_leaves_the_step_done(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, hooked(SystemExit(1)))
    with pytest.raises(SystemExit):
        carried(run_id, "a")
    assert states(run_id) == {"a": "succeeded", "b": "in_flight"}  # as if killed before b
    lapse(run_id)
    carried(run_id, "b")
    assert (actor.calls, rows(), status(run_id)) == (["do a", "do b"], 1, "succeeded")


def test_a_commit_whose_answer_is_lost_is_looked_up(known: Known, actor: Actor) -> None:
    run_id = started(known, actor, then(None))
    backend = type(connections["default"])
    commit, lost = backend.commit, [OperationalError("the server has gone")]

    def losing(self: Any) -> None:
        commit(self)
        if rows() and lost:
            raise lost.pop()

    with patch.object(backend, "commit", losing):
        carried(run_id, "a")
    assert actor.calls == ["do a", "do b"]
    assert (rows(), status(run_id)) == (1, "succeeded")


def test_a_claim_that_others_have_taken_over_since_the_commit_is_theirs(
    known: Known, actor: Actor
) -> None:
    def code(run: Any) -> None:
        write()
        transaction.on_commit(overtaken)

    def overtaken() -> None:
        _elsewhere(partial(lapse, run_id))
        _elsewhere(partial(carried, run_id, "b"))
        raise ConnectionError("the broker is down")

    run_id = started(known, actor, code)
    carried(run_id, "a")
    assert actor.calls == ["do a", "do b"]
    assert status(run_id) == "succeeded"


# --- conflicts -----------------------------------------------------------------------------


def test_two_that_lock_in_opposite_order_are_both_done_at_their_first_try(
    known: Known, actor: Actor
) -> None:
    keys = [Signal.objects.create(name=name).pk for name in ("first", "second")]
    barrier, met = Barrier(2), []

    def code(run: Any) -> None:
        order = keys if run.payload.number else keys[::-1]
        _locked(order[0])
        if run.id not in met:
            met.append(run.id)
            barrier.wait(10)
        _locked(order[1])

    actor.answers["do a"] = code
    known(flow([actor.step("a", atomic=True), actor.step("b")]))
    runs = [start("flow", {"number": number}, key=str(number)).id for number in (0, 1)]
    assert at_once(*(partial(carried, run_id, "a") for run_id in runs)) == [[], []]
    assert [status(run_id) for run_id in runs] == ["succeeded", "succeeded"]
    assert [(row(r, "a").tries, row(r, "a").attempt) for r in runs] == [(1, 1), (1, 1)]
    assert actor.calls.count("do a") == 3


@pytest.mark.parametrize("sqlstate", ["40001", "40P01", "55P03"])
def test_a_conflict_is_repeated_in_place_also_when_the_code_wraps_it(
    known: Known, actor: Actor, sqlstate: str
) -> None:
    left = [1, 1]

    def code(run: Any) -> None:
        write()
        if left:
            left.pop()
            try:
                db.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$")
            except OperationalError:
                raise ValueError("what the code makes of it") from None

    run_id = started(known, actor, code, retry=Retry(attempts=1))
    carried(run_id, "a")
    assert actor.calls == ["do a"] * 3 + ["do b"]
    assert (rows(), status(run_id), row(run_id, "a").tries) == (1, "succeeded", 1)


def test_a_conflict_that_outlasts_the_time_limit_costs_one_try(known: Known, actor: Actor) -> None:
    key = Signal.objects.create(name="locked").pk
    run_id = started(
        known, actor, lambda run: _locked(key, nowait=True), timeout=0.3, retry=Retry(base=9)
    )
    with transaction.atomic():
        _locked(key)
        _elsewhere(partial(carried, run_id, "a"))
    assert actor.calls.count("do a") > 1
    assert (row(run_id, "a").tries, states(run_id)["a"]) == (1, "ready")
    assert not row(run_id, "a").in_doubt


def _locked(key: int, **options: Any) -> None:
    Signal.objects.select_for_update(**options).get(pk=key)

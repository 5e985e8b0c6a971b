"""Workers at the same moment, on real connections: the record lets one of them win."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from threading import Barrier
from typing import Any
from unittest.mock import MagicMock, patch
from uuid import UUID

import pytest
from django.db import InternalError, OperationalError, connection, transaction
from psycopg.errors import ReadOnlySqlTransaction

from sagas import db
from sagas.define.outcome import Refused
from sagas.models import Event, Step
from sagas.run import dispatch
from sagas.run.dispatch import insist
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    lapse,
    row,
    run_of,
    states,
    status,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)
_TIMES = 50


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _post(post: Post) -> Post:
    return post


def entered(run_id: UUID, step: str) -> int:
    """How often a step was taken out of pending."""
    return Event.objects.filter(run=run_id, step=step, old="pending").count()


def test_two_branches_that_end_at_the_same_moment_join_exactly_once(
    known: Known, actor: Actor
) -> None:
    a, b, c = actor.steps("abc")
    saga = known(flow([fork(a, b), c]))
    for _ in range(_TIMES):
        together = Barrier(2)
        actor.answers["do a"] = actor.answers["do b"] = lambda run, t=together: t.wait(10) and None
        actor.calls.clear()
        run_id = begun(saga)
        outcomes = at_once(partial(carried, run_id, "a"), partial(carried, run_id, "b"))
        assert outcomes == [[], []]
        assert actor.calls.count("do c") == 1
        assert entered(run_id, "c") == 1
        assert status(run_id) == "succeeded"
        assert told(run_id).problems == []


def test_two_branches_of_which_one_fails_at_the_same_moment_turn_back_once(
    known: Known, actor: Actor
) -> None:
    a, b, c = actor.steps("abc")
    saga = known(flow([fork(a, b), c]))
    for _ in range(_TIMES // 2):
        together = Barrier(2)
        actor.answers["do a"] = lambda run, t=together: t.wait(10) and None
        actor.answers["do b"] = lambda run, t=together: (t.wait(10), Refused("no"))[1]
        actor.calls.clear()
        run_id = begun(saga)
        at_once(partial(carried, run_id, "a"), partial(carried, run_id, "b"))
        assert sorted(actor.calls) == ["do a", "do b", "undo a"]
        assert (status(run_id), run_of(run_id).epoch) == ("compensated", 2)
        assert told(run_id).problems == []


def test_two_compensations_that_end_at_the_same_moment_join_exactly_once(
    known: Known, actor: Actor
) -> None:
    a, b, c, z = actor.steps("abcz")
    saga = known(flow([z, fork(a, b), c], hop=True))
    actor.answers["do c"] = Refused("no")
    for _ in range(_TIMES // 2):
        run_id = begun(saga)
        for step in "zabc":
            carried(run_id, step)
        together = Barrier(2)
        actor.answers["undo a"] = actor.answers["undo b"] = lambda run, t=together: t.wait(10)
        at_once(
            partial(carried, run_id, "a", way=BACKWARD, epoch=2),
            partial(carried, run_id, "b", way=BACKWARD, epoch=2),
        )
        assert states(run_id, BACKWARD) == {"z": "ready", "a": "succeeded", "b": "succeeded"}
        carried(run_id, "z", way=BACKWARD, epoch=2)
        assert status(run_id) == "compensated"


def test_of_many_copies_of_a_message_one_takes_the_step(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    for _ in range(_TIMES // 2):
        actor.calls.clear()
        run_id = begun(saga)
        at_once(*[partial(carried, run_id, "a")] * 4)
        assert actor.calls == ["do a"]
        assert row(run_id, "a").attempt == 1


def test_of_many_workers_one_takes_a_lost_attempt_over(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    for _ in range(_TIMES // 2):
        actor.calls.clear()
        run_id = begun(saga)
        with patch("sagas.run.dispatch.attempt", return_value=None):
            carried(run_id, "a")
        lapse(run_id)
        at_once(*[partial(carried, run_id, "a")] * 3)
        assert actor.calls == ["do a"]
        assert row(run_id, "a").attempt == 2


def test_a_frozen_worker_and_the_one_that_took_over_record_one_answer(
    known: Known, actor: Actor
) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    for _ in range(_TIMES // 2):
        run_id, together = begun(saga), Barrier(2)

        def freeze(run: Any, together: Barrier = together) -> None:
            together.wait(10)  # both are in the call now
            together.wait(10)

        def take_over(run_id: UUID = run_id, together: Barrier = together) -> None:
            together.wait(10)
            actor.answers["do a"] = lambda run: together.wait(10) and None
            lapse(run_id)
            carried(run_id, "a")

        actor.answers["do a"] = freeze
        outcomes = at_once(partial(carried, run_id, "a"), take_over)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
        assert (row(run_id, "a").attempt, row(run_id, "a").status) == (2, "succeeded")
        done = Event.objects.filter(run=run_id, step="a", new="succeeded")
        assert [event.attempt for event in done] == [2]
        assert Event.objects.filter(run=run_id, data__has_key="late_answer").count() == 1


# --- the database goes away ----------------------------------------------------------------


def test_what_the_database_refuses_for_a_moment_is_done_again_on_a_new_connection(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    actor.answers["do a"] = lambda run: _cut_this_connection()
    carried(run_id, "a")
    assert status(run_id) == "succeeded"
    assert actor.calls == ["do a", "do b"]


@contextmanager
def unacknowledged(nth: int) -> Iterator[None]:
    """The connection is lost just after the record's nth write, before its answer arrives."""
    real, writes = db.execute, count(1)

    def execute(sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        rows = real(sql, params)
        if "UPDATE sagas_run" in sql and next(writes) == nth:
            raise OperationalError("the connection was closed")
        return rows

    with patch.object(db, "execute", execute):
        yield


def test_an_answer_whose_commit_was_not_acknowledged_is_recorded_once(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    with unacknowledged(2):
        carried(run_id, "a")
    assert Event.objects.filter(run=run_id, step="a", new="succeeded").count() == 1
    assert not Event.objects.filter(run=run_id, data__has_key="late_answer").exists()
    lapse(run_id)
    carried(run_id, "b")
    assert actor.calls == ["do a", "do b"]
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


@pytest.mark.parametrize("saga", ["flow/1", ""], ids=["first claim", "planned claim"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_claim_whose_commit_was_not_acknowledged_is_gone_on_with(
    known: Known, actor: Actor, nth: int, saga: str
) -> None:
    run_id = begun(known(flow(actor.steps("abc"))))
    with unacknowledged(nth):
        carried(run_id, "a", saga=saga)
    assert actor.calls == ["do a", "do b", "do c"]
    assert status(run_id) == "succeeded"
    assert [row(run_id, name).attempt for name in "abc"] == [1, 1, 1]
    assert told(run_id).problems == []


def test_what_such_a_commit_made_ready_for_others_is_sent(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow([*actor.steps("a"), fork(*actor.steps("bc"))])))
    post.drop_all()
    with unacknowledged(2):
        carried(run_id, "a")
    assert actor.calls == ["do a", "do b"]
    while post.deliver():
        pass
    assert status(run_id) == "succeeded"


def test_anothers_claim_is_not_taken_for_an_own_one(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    real, writes = db.execute, count(1)

    def execute(sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        rows = real(sql, params)
        if "UPDATE sagas_run" in sql and next(writes) == 1:
            Step.objects.filter(run=run_id, name="a").update(pid=4_000_001)
            raise OperationalError("the connection was closed")
        return rows

    with patch.object(db, "execute", execute):
        carried(run_id, "a")
    assert actor.calls == []
    assert states(run_id)["a"] == "in_flight"


def test_a_read_only_database_is_waited_for(known: Known, actor: Actor) -> None:
    answers: list[Any] = [InternalError("read-only"), 7]
    answers[0].__cause__ = ReadOnlySqlTransaction()

    def act() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert insist(act) == 7


def test_any_other_internal_error_is_not(known: Known) -> None:
    with pytest.raises(InternalError):
        insist(MagicMock(side_effect=[InternalError("corrupt"), 7]))


def test_a_database_that_stays_away_is_given_up_after_a_lease() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise OperationalError("gone")

    clock = MagicMock()
    clock.monotonic.side_effect = lambda: sum(c.args[0] for c in clock.sleep.call_args_list)
    with patch.object(dispatch, "time", clock), pytest.raises(OperationalError):
        insist(fail)
    waited = [call.args[0] for call in clock.sleep.call_args_list]
    assert 25 < sum(waited) <= 30
    assert waited == sorted(waited)
    assert len(tries) == len(waited) + 1


def test_inside_a_transaction_nothing_is_tried_again() -> None:
    tries: list[int] = []

    def fail() -> None:
        tries.append(1)
        raise OperationalError("gone")

    with pytest.raises(OperationalError), transaction.atomic():
        insist(fail)
    assert tries == [1]


def test_a_deadlock_is_tried_again() -> None:
    """Deadlocks and serialization failures are OperationalErrors to Django."""
    answers: list[Any] = [OperationalError("deadlock detected"), 7]

    def act() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert insist(act) == 7


def _cut_this_connection() -> None:
    pid = db.execute("SELECT pg_backend_pid()")[0][0]
    at_once(lambda: db.execute("SELECT pg_terminate_backend(%s)", [pid]))
    assert connection.connection is not None

"""Cancel: a run turns back at its next step boundary, unless it has passed its pivot."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import transaction

from sagas.define import registry
from sagas.define.outcome import Refused
from sagas.errors import CancelRefused, UnknownRun, UnknownSaga
from sagas.operate.cancel import cancel
from sagas.states import RunStatus
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    at_once,
    begun,
    carried,
    run_of,
    states,
    status,
    told,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def test_a_run_that_has_not_begun_is_compensated_at_once(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert cancel(run_id) == RunStatus.COMPENSATED
    carried(run_id, "a")
    assert actor.calls == []
    run = run_of(run_id)
    assert (run.status, run.halt) == ("compensated", "cancelled")
    assert run.finished_at is not None
    assert told(run_id).problems == []


@pytest.mark.django_db(transaction=True)
def test_between_two_steps_it_turns_back_and_sends_the_compensations(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("abc"), hop=True)))
    carried(run_id, "a")
    post.drop_all()
    assert cancel(run_id) == RunStatus.COMPENSATING
    while post.deliver():
        pass
    assert actor.calls == ["do a", "undo a"]
    assert status(run_id) == "compensated"


@pytest.mark.django_db(transaction=True)
def test_a_cancel_is_part_of_the_callers_transaction(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    sent = post.count()
    with transaction.atomic():
        cancel(run_id)
        transaction.set_rollback(True)
    assert (status(run_id), run_of(run_id).halt, post.count()) == ("running", "", sent)


def test_while_a_step_is_in_flight_it_is_running_until_that_answers(
    known: Known, actor: Actor
) -> None:
    seen: list[RunStatus] = []
    actor.answers["do a"] = lambda run: seen.append(cancel(run.id))
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    assert seen == [RunStatus.RUNNING]
    assert actor.calls == ["do a", "undo a"]
    assert status(run_id) == "compensated"


def test_asking_again_changes_nothing(known: Known, actor: Actor) -> None:
    seen: list[RunStatus] = []

    def twice(run: object) -> None:
        seen.extend([cancel(run_id), cancel(run_id)])

    actor.answers["do a"] = twice
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    seen.append(cancel(run_id))
    carried(run_id, "a", way=BACKWARD, epoch=2)
    seen.append(cancel(run_id))
    assert seen == ["running", "running", "compensating", "compensated"]
    assert run_of(run_id).epoch == 2


def test_a_run_that_turns_back_already_says_so(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    carried(run_id, "b")
    assert cancel(run_id) == RunStatus.COMPENSATING
    assert run_of(run_id).halt == "failed"


def test_a_cancel_while_another_branch_has_failed_says_that_it_still_runs(
    known: Known, actor: Actor
) -> None:
    seen: list[RunStatus] = []

    def slow(run: object) -> None:
        carried(run_id, "b")
        seen.append(cancel(run_id))

    actor.answers |= {"do b": Refused("no"), "do a": slow}
    run_id = begun(known(flow([fork(*actor.steps("ab"))])))
    carried(run_id, "a")
    assert seen == [RunStatus.RUNNING]
    assert (status(run_id), run_of(run_id).halt) == ("compensated", "failed")


# --- refusals ------------------------------------------------------------------------------


def test_past_the_pivot_it_is_refused(known: Known, actor: Actor) -> None:
    saga = known(flow([actor.step("a"), pivot(actor.step("p")), actor.step("b")], hop=True))
    run_id = begun(saga)
    carried(run_id, "a")
    carried(run_id, "p")
    with pytest.raises(CancelRefused, match="it has passed its pivot and must finish"):
        cancel(run_id)
    assert (status(run_id), run_of(run_id).halt) == ("running", "")


def test_while_the_pivot_is_in_flight_it_may_come_too_late(known: Known, actor: Actor) -> None:
    actor.answers["do p"] = lambda run: cancel(run.id) and None
    run_id = begun(known(flow([actor.step("a"), pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "a")
    assert actor.calls == ["do a", "do p", "do b"]
    assert (status(run_id), run_of(run_id).halt) == ("succeeded", "")


def test_or_in_time(known: Known, actor: Actor) -> None:
    actor.answers["do p"] = lambda run: cancel(run.id) and Refused("declined")
    run_id = begun(known(flow([actor.step("a"), pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "a")
    assert actor.calls == ["do a", "do p", "undo a"]
    assert (status(run_id), run_of(run_id).halt) == ("compensated", "cancelled")


@pytest.mark.parametrize(
    ("answer", "ending", "said"),
    [
        (None, "succeeded", "it has succeeded"),
        (Refused("no"), "compensated", "it is compensated"),
    ],
)
def test_a_run_that_is_over_cannot_be_cancelled(
    known: Known, actor: Actor, answer: object, ending: str, said: str
) -> None:
    actor.answers["do b"] = answer
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    assert status(run_id) == ending
    with pytest.raises(CancelRefused, match=said):
        cancel(run_id)


def test_a_run_that_needs_a_person_cannot_be_cancelled(known: Known, actor: Actor) -> None:
    actor.answers |= {"do b": Refused("no"), "undo a": Refused("409")}
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    with pytest.raises(CancelRefused, match="it needs attention"):
        cancel(run_id)


def test_so_it_is_for_one_that_was_cancelled_before(known: Known, actor: Actor) -> None:
    actor.answers["undo a"] = Refused("409")
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    cancel(run_id)
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert status(run_id) == "needs_attention"
    with pytest.raises(CancelRefused, match="needs attention"):
        cancel(run_id)


def test_a_run_that_does_not_exist_is_unknown() -> None:
    with pytest.raises(UnknownRun):
        cancel(uuid4())


def test_a_run_whose_code_is_gone_or_changed_is_not_touched(known: Known, actor: Actor) -> None:
    with registry.isolated():
        run_id = begun(known(flow(actor.steps("ab"))))
    with pytest.raises(UnknownSaga), transaction.atomic():
        cancel(run_id)
    known(flow(actor.steps("xyz")))
    with pytest.raises(UnknownSaga, match="other steps"), transaction.atomic():
        cancel(run_id)
    assert states(run_id) == {"a": "ready", "b": "pending"}


# --- races ---------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_cancel_and_the_end_of_the_run_at_the_same_moment_have_one_winner(
    known: Known, actor: Actor
) -> None:
    saga = known(flow([actor.step("a"), pivot(actor.step("p"))], hop=True))
    endings = set()
    for _ in range(40):
        run_id = begun(saga)
        carried(run_id, "a")
        actor.calls.clear()
        _, outcome = at_once(
            partial(carried, run_id, "p"),
            partial(cancel, run_id),
        )
        ending = status(run_id)
        endings.add(ending)
        assert told(run_id).problems == []
        if ending == "succeeded":
            assert actor.calls == ["do p"]
            assert isinstance(outcome, CancelRefused) or outcome == RunStatus.RUNNING
        else:
            assert actor.calls == []
            assert (ending, outcome) == ("compensating", RunStatus.COMPENSATING)
    assert endings <= {"succeeded", "compensating"}


@pytest.mark.django_db(transaction=True)
def test_of_many_cancels_at_the_same_moment_one_turns_the_run_back(
    known: Known, actor: Actor, post: Post
) -> None:
    saga = known(flow(actor.steps("ab"), hop=True))
    for _ in range(10):
        run_id = begun(saga)
        carried(run_id, "a")
        post.drop_all()
        sent = post.count()
        assert at_once(*[partial(cancel, run_id)] * 4) == ["compensating"] * 4
        assert run_of(run_id).epoch == 2
        assert post.count() == sent + 1


def test_a_cancel_that_cannot_be_sent_is_done_by_the_sweep(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    with patch("sagas.run.send.canvas", side_effect=OSError("no route")):
        cancel(run_id)
    assert states(run_id, BACKWARD) == {"a": "ready"}

"""Why a run was undone is told from its record, when it is over too."""

from __future__ import annotations

from uuid import UUID

import pytest

from sagas.define.outcome import Refused, RetryLater
from sagas.operate.cancel import cancel
from sagas.operate.look import look
from sagas.operate.skip import skip
from sagas.operate.undone import undone_because, undone_steps
from sagas.states import RunStatus
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.parked import (
    WHY,
    delivered,
    settled,
    stopped_past_the_pivot,
    stopped_undoing,
)
from tests.sagas.stage import Actor, Known, begun, carried, status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def why(run_id: UUID) -> str:
    sight = look(run_id)
    return undone_because(sight.run, sight.steps)


def test_the_steps_that_gave_up_are_the_reason_but_for_optional_ones(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers |= {"do b": Refused("unwell"), "do c": Refused("no stock")}
    steps = [actor.step("a"), actor.step("b", optional=True), actor.step("c"), actor.step("d")]
    run_id = begun(known(flow(steps)))
    settled(post, run_id)
    assert (status(run_id), why(run_id)) == (RunStatus.COMPENSATED, "No stock at c; 1 step undone")


def test_the_name_of_an_exception_is_told_as_words(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do b"] = Refused("PartnerRefused: no stock")
    run_id = begun(known(flow(actor.steps("ab"))))
    settled(post, run_id)
    assert why(run_id) == "Partner refused: no stock at b; 1 step undone"


def test_who_cancelled_it_and_why_is_the_reason(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    cancel(run_id, **WHY)
    settled(post, run_id)
    assert (status(run_id), why(run_id)) == (
        RunStatus.COMPENSATED,
        "ann asked to cancel: ticket 7; no step was to be undone",
    )


def test_the_application_gives_no_reason(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    cancel(run_id)
    settled(post, run_id)
    assert why(run_id) == "The application cancelled it; no step was to be undone"


def test_a_run_tells_how_many_of_its_steps_are_undone_so_far(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers |= {"do d": Refused("card was declined."), "undo b": RetryLater("busy", 60)}
    run_id = begun(known(flow(actor.steps("abcd"))))
    carried(run_id, "a")
    delivered(post)
    assert status(run_id) == RunStatus.COMPENSATING
    assert why(run_id) == "Card was declined at d; 1 of 3 steps undone"
    assert undone_steps(look(run_id).steps) == {"c"}
    actor.answers["undo b"] = None
    settled(post, run_id)
    assert why(run_id) == "Card was declined at d; 3 steps undone"
    assert undone_steps(look(run_id).steps) == {"a", "b", "c"}


def test_a_step_that_was_not_undone_is_told(known: Known, actor: Actor, post: Post) -> None:
    run_id = stopped_undoing(known, actor)
    skip(run_id, "undo of b", **WHY)
    settled(post, run_id)
    assert status(run_id) == RunStatus.COMPENSATED
    assert why(run_id) == "No at c; 1 step undone; 1 not undone: an operator skipped that"


def test_a_run_that_goes_forward_has_none(known: Known, actor: Actor) -> None:
    assert why(stopped_past_the_pivot(known, actor)) == ""

"""A run that more than one thing blocks: after each action it moves, or needs attention again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from sagas.define.outcome import Refused, Unknown, Wait
from sagas.models import Run
from sagas.operate.cancel import cancel
from sagas.operate.mark import mark
from sagas.operate.pause import pause, resume
from sagas.operate.retry import retry
from sagas.operate.skip import skip
from sagas.operate.stuck import stuck
from sagas.run.recover import sweep
from sagas.testing.liveness import stranded_runs
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.operate.parked import WHY, delivered, settled
from tests.sagas.stage import Actor, Known, begun, carried, lapse, run_of, states, status

pytestmark = pytest.mark.django_db(transaction=True)
Act = Callable[[UUID], object]


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def both_failed(known: Known, actor: Actor) -> UUID:
    """After the pivot b and c, side by side, were both refused while the other was in flight."""
    actor.answers["do c"] = Refused("no c")

    def b(run: Any) -> Any:
        carried(run.id, "c")
        return Refused("no b")

    actor.answers["do b"] = b
    branches = fork(actor.step("b"), actor.step("c"))
    run_id = begun(known(flow([pivot(actor.step("p")), branches, actor.step("d")])))
    carried(run_id, "p")
    carried(run_id, "b")
    assert status(run_id) == "needs_attention"
    assert states(run_id) == {"p": "succeeded", "b": "failed", "c": "failed", "d": "pending"}
    actor.answers.clear()
    return run_id


@pytest.mark.parametrize("how", [retry, skip], ids=["retry", "skip"])
def test_a_run_with_two_failed_branches_needs_attention_again_for_the_other(
    known: Known, actor: Actor, post: Post, how: Any
) -> None:
    run_id = both_failed(known, actor)
    how(run_id, "b", **WHY)
    assert stranded_runs() == []
    settled(post, run_id)
    assert status(run_id) == "needs_attention"
    assert run_of(run_id).attention == "'c' gave up after the pivot: no c."
    assert run_of(run_id).error_group == "c: no c"
    how(run_id, "c", **WHY)
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def test_both_branches_are_retried_though_the_first_retry_has_made_the_run_active(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = both_failed(known, actor)
    retry(run_id, "b", **WHY)
    assert status(run_id) == "running"
    retry(run_id, "c", **WHY)
    delivered(post)
    assert status(run_id) == "succeeded"


@pytest.mark.parametrize("how", [retry, skip], ids=["retry", "skip"])
def test_an_optional_step_is_no_way_past_the_step_that_blocks_the_run(
    known: Known, actor: Actor, post: Post, how: Any
) -> None:
    actor.answers |= {"do o": Refused("no o"), "do b": Refused("no b")}
    steps = [pivot(actor.step("p")), actor.step("o", optional=True), actor.step("b")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "p")
    actor.answers.clear()
    how(run_id, "o", **WHY)
    settled(post, run_id)
    assert (status(run_id), states(run_id)["b"]) == ("needs_attention", "failed")
    assert run_of(run_id).attention == "'b' gave up after the pivot: no b."
    retry(run_id, "b", **WHY)
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def in_doubt_beside_refused(known: Known, actor: Actor) -> UUID:
    """Before any pivot b was refused, and nobody knows whether c happened."""
    actor.answers["do c"] = Unknown("reset")

    def b(run: Any) -> Any:
        carried(run.id, "c")
        return Refused("no b")

    actor.answers["do b"] = b
    steps = fork(actor.step("b"), actor.step("c", idempotent=False))
    run_id = begun(known(flow([actor.step("a"), steps])))
    carried(run_id, "a")
    carried(run_id, "b")
    assert states(run_id) == {"a": "succeeded", "b": "failed", "c": "unknown"}
    assert status(run_id) == "needs_attention"
    actor.answers.clear()
    return run_id


@pytest.mark.parametrize("happened", [True, False])
def test_a_run_turns_back_for_the_step_that_was_refused_once_the_question_is_settled(
    known: Known, actor: Actor, post: Post, happened: bool
) -> None:
    run_id = in_doubt_beside_refused(known, actor)
    mark(run_id, "c", happened=happened, **WHY)
    settled(post, run_id)
    assert status(run_id) == "compensated"
    assert actor.calls.count("do c") == 1
    assert actor.calls.count("undo c") == happened


def test_a_step_in_doubt_that_is_retried_is_not_called_in_a_run_that_turns_back(
    known: Known, actor: Actor, post: Post
) -> None:
    """An operator wanted it done again; then somebody cancelled, before a worker took it."""

    def b(run: Any) -> Any:
        carried(run.id, "c")

    def c_in_doubt(run: Any) -> Any:
        carried(run.id, "d")
        return Unknown("reset")

    actor.answers |= {"do b": b, "do c": c_in_doubt, "do d": Unknown("reset")}
    c = actor.step("c", idempotent=False, undo={"tolerates_nothing": True})
    d = actor.step("d", idempotent=False)
    run_id = begun(known(flow([actor.step("a"), fork(actor.step("b"), c, d)])))
    carried(run_id, "a")
    carried(run_id, "b")
    assert states(run_id) == {"a": "succeeded", "b": "succeeded", "c": "failed", "d": "unknown"}
    retry(run_id, "c", **WHY)
    cancel(run_id, **WHY)
    mark(run_id, "d", happened=True, **WHY)
    settled(post, run_id)
    assert actor.calls.count("do c") == 1
    assert "undo c" in actor.calls
    assert status(run_id) == "compensated"


def test_a_refused_step_that_is_retried_leaves_the_question_that_blocks_the_run(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = in_doubt_beside_refused(known, actor)
    retry(run_id, "b", **WHY)
    settled(post, run_id)
    assert status(run_id) == "needs_attention"
    assert run_of(run_id).attention == "Nobody can tell whether 'c' happened: reset."
    mark(run_id, "c", happened=True, **WHY)
    settled(post, run_id)
    assert status(run_id) == "succeeded"


def beside_a_ready_one(known: Known, actor: Actor) -> UUID:
    """After the pivot b was refused while c, beside it, was ready."""
    actor.answers["do b"] = Refused("no b")
    branches = fork(actor.step("b"), actor.step("c"))
    run_id = begun(known(flow([pivot(actor.step("p")), branches])))
    carried(run_id, "p")
    carried(run_id, "b")
    assert (status(run_id), states(run_id)["c"]) == ("needs_attention", "ready")
    actor.answers.clear()
    return run_id


def test_a_ready_sibling_is_sent_at_once_when_the_run_goes_on(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = beside_a_ready_one(known, actor)
    post.drop_all()
    retry(run_id, "b", **WHY)
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_ready_sibling_is_not_stuck_for_the_time_that_the_run_stood(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = beside_a_ready_one(known, actor)
    lapse(run_id, 900)
    retry(run_id, "b", **WHY)
    assert not stuck(Run.objects.all()).exists()
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_sibling_whose_worker_died_meanwhile_is_taken_over_at_once(
    known: Known, actor: Actor, post: Post
) -> None:
    def c(run: Any) -> Any:
        raise KeyboardInterrupt  # the process dies

    def b(run: Any) -> Any:
        with pytest.raises(KeyboardInterrupt):
            carried(run.id, "c")
        return Refused("no b")

    actor.answers |= {"do b": b, "do c": c}
    branches = fork(actor.step("b"), actor.step("c"))
    run_id = begun(known(flow([pivot(actor.step("p")), branches])))
    carried(run_id, "p")
    assert (status(run_id), states(run_id)["c"]) == ("needs_attention", "in_flight")
    actor.answers.clear()
    lapse(run_id)
    post.drop_all()
    retry(run_id, "b", **WHY)
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_wait_that_ran_out_meanwhile_keeps_its_signal_until_it_is_taken(
    known: Known, actor: Actor, post: Post
) -> None:
    def b(run: Any) -> Any:
        carried(run.id, "c")
        return Refused("no b")

    actor.answers |= {"do b": b, "do c": Wait(60.0, "paid", "k")}
    branches = fork(actor.step("b"), actor.step("c"))
    run_id = begun(known(flow([pivot(actor.step("p")), branches])))
    carried(run_id, "p")
    assert states(run_id)["c"] == "waiting"
    lapse(run_id, 900)
    post.drop_all()
    retry(run_id, "b", **WHY)
    step = run_of(run_id).steps.get(name="c")
    assert (step.signal, step.correlation) == ("paid", "k")
    assert not stuck(Run.objects.all()).exists()
    actor.answers.clear()
    delivered(post)
    assert status(run_id) == "succeeded"


def test_a_run_that_is_resumed_is_not_stuck_for_the_time_that_it_was_paused(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    pause(run_id, **WHY)
    lapse(run_id, 900)
    resume(run_id, **WHY)
    assert not stuck(Run.objects.all()).exists()
    assert sweep() == 1
    delivered(post)
    assert status(run_id) == "succeeded"

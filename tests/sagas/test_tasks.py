"""The Celery tasks: what a worker's tracer makes of them, with real chains and errbacks."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest
from celery import current_app
from celery.app.trace import build_tracer
from django.db import OperationalError

from sagas.define.outcome import Refused
from sagas.run.canvas import ERRBACK, STEP_TASK
from sagas.states import Direction
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork
from tests.sagas.stage import Actor, Known, begun, lapse, states, status, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def actor() -> Actor:
    return Actor()


def through(post: Post, copies: int = 1) -> int:
    """Deliver until nothing is left. Gives how many messages there were."""
    while post.deliver(copies):
        pass
    return post.count()


@pytest.mark.parametrize("name", [*STEP_TASK.values(), *ERRBACK.values()])
def test_every_task_is_acknowledged_late_and_stores_no_result(name: str) -> None:
    task = current_app.tasks[name]
    assert task.acks_late
    assert task.ignore_result


def test_one_message_is_enough_for_a_run_on_one_queue(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = begun(known(flow(actor.steps("abcd"))))
    assert through(post) == 1
    assert status(run_id) == "succeeded"


def test_a_chain_hops_from_message_to_message(known: Known, actor: Actor, post: Post) -> None:
    run_id = begun(known(flow(actor.steps("abcd"), hop=True)))
    assert through(post) == 4
    assert actor.calls == ["do a", "do b", "do c", "do d"]
    assert status(run_id) == "succeeded"


def test_a_chain_hops_over_queues(known: Known, actor: Actor, post: Post) -> None:
    steps = [actor.step("a"), actor.step("b", queue="payments"), *actor.steps("cd")]
    run_id = begun(known(flow(steps)))
    assert through(post) == 3
    assert status(run_id) == "succeeded"


@pytest.mark.parametrize("hop", [True, False])
def test_every_message_three_times_does_everything_once(
    known: Known, actor: Actor, post: Post, hop: bool
) -> None:
    a, b, c, d = actor.steps("abcd")
    run_id = begun(known(flow([a, fork(b, c), d], hop=hop)))
    through(post, copies=3)
    assert sorted(actor.calls) == ["do a", "do b", "do c", "do d"]
    assert status(run_id) == "succeeded"
    assert told(run_id).problems == []


def test_undoing_hops_too(known: Known, actor: Actor, post: Post) -> None:
    actor.answers["do c"] = Refused("no")
    run_id = begun(known(flow(actor.steps("abc"), hop=True)))
    through(post, copies=2)
    assert actor.calls == ["do a", "do b", "do c", "undo b", "undo a"]
    assert status(run_id) == "compensated"


@pytest.mark.parametrize("way", list(Direction))
def test_an_errback_of_a_step_that_did_well_changes_nothing(
    known: Known, actor: Actor, post: Post, way: Direction
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    post.deliver()
    before = told(run_id)
    current_app.tasks[ERRBACK[way]].apply(args=(str(run_id), 1))
    assert told(run_id) == before
    through(post)
    assert actor.calls == ["do a", "do b"]


def test_a_task_that_breaks_publishes_its_errback_and_stops_its_chain(
    known: Known, actor: Actor, post: Post
) -> None:
    """The database goes away after the claim: the record knows no answer, so nothing follows."""
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    sent = post.count()
    with (
        patch("sagas.testing.post.build_tracer", _as_in_a_worker),
        patch("sagas.run.dispatch.perform", side_effect=OperationalError),
    ):
        post.deliver()
    assert post.count() == sent + 1
    assert states(run_id) == {"a": "in_flight", "b": "pending"}
    lapse(run_id, 0)
    through(post)  # the errback finds that the lease has lapsed just now
    assert actor.calls == ["do a", "do b"]
    assert status(run_id) == "succeeded"


def _as_in_a_worker(name: str, task: Any, **options: Any) -> Any:
    """A tracer that handles failures, instead of raising them to the test."""
    return build_tracer(name, task, **{**options, "propagate": False})


def test_an_errback_for_a_run_that_is_gone_does_nothing(post: Post) -> None:
    args = ("00000000-0000-0000-0000-000000000001", 1)
    assert current_app.tasks["sagas.undo"].apply(args=args).successful()
    assert post.count() == 0

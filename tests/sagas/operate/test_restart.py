"""Restart: a run goes forward again from a step that a person chooses."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from sagas.define.outcome import Refused
from sagas.errors import VerbRefused
from sagas.operate.restart import restart
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.operate.parked import (
    WHY,
    delivered,
    stopped_in_doubt,
    stopped_past_the_pivot,
    stopped_undoing,
)
from tests.sagas.stage import Actor, Known, begun, carried, row, states, status, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def stopped_late(known: Known, actor: Actor) -> UUID:
    """A run past its pivot whose last step was refused, with two done after the pivot."""
    actor.answers["do d"] = Refused("no")
    steps = [pivot(actor.step("p")), actor.step("b", harmless=True), actor.step("c")]
    run_id = begun(known(flow([*steps, actor.step("d")])))
    carried(run_id, "p")
    assert states(run_id) == {"p": "succeeded", "b": "succeeded", "c": "succeeded", "d": "failed"}
    return run_id


def test_what_happened_is_done_once_more_only_if_that_is_said(
    known: Known, actor: Actor, post: Post
) -> None:
    run_id = stopped_late(known, actor)
    with pytest.raises(VerbRefused, match="what happened already: c"):
        restart(run_id, "b", **WHY)
    assert status(run_id) == "needs_attention"
    actor.answers["do d"] = None
    assert restart(run_id, "b", again=True, **WHY) == "running"
    delivered(post)
    assert status(run_id) == "succeeded"
    assert actor.calls == ["do p", "do b", "do c", "do d", "do b", "do c", "do d"]
    assert told(run_id).problems == []


def test_each_step_gets_a_new_key_and_forgets_its_result(
    known: Known, actor: Actor, post: Post
) -> None:
    keys: list[str] = []

    def numbered(run: Any) -> dict[str, int]:
        keys.append(run.key)
        return {"n": len(keys)}

    actor.answers["do c"] = numbered
    run_id = stopped_late(known, actor)
    seen: list[Any] = []
    actor.answers |= {"do b": lambda run: seen.append(run.results["c"]), "do d": None}
    restart(run_id, "b", again=True, **WHY)
    assert row(run_id, "c").result is None
    delivered(post)
    assert seen == [None]
    assert len(set(keys)) == 2
    assert row(run_id, "c").result == {"n": 2}


def test_a_step_that_was_skipped_can_be_done_after_all(
    known: Known, actor: Actor, post: Post
) -> None:
    from sagas.operate.skip import skip

    run_id = stopped_late(known, actor)
    actor.answers["do d"] = None
    skip(run_id, "d", **WHY)
    assert status(run_id) == "succeeded"  # over: there is nothing to restart
    with pytest.raises(VerbRefused, match="has succeeded; only what needs attention"):
        restart(run_id, "d", **WHY)


def test_branches_beside_the_step_are_left_as_they_are(
    known: Known, actor: Actor, post: Post
) -> None:
    actor.answers["do z"] = Refused("no")
    branches = fork(actor.steps("bc"), actor.steps("de"))
    run_id = begun(known(flow([pivot(actor.step("p")), branches, actor.step("z")])))
    carried(run_id, "p")
    delivered(post)
    assert states(run_id)["z"] == "failed"
    actor.answers["do z"] = None
    restart(run_id, "c", again=True, **WHY)
    delivered(post)
    assert status(run_id) == "succeeded"
    assert {call: actor.calls.count(call) for call in ("do b", "do c", "do d", "do e", "do z")} == {
        "do b": 1,
        "do c": 2,
        "do d": 1,
        "do e": 1,
        "do z": 2,
    }
    assert told(run_id).problems == []


def test_the_pivot_is_never_passed_twice(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    with pytest.raises(VerbRefused, match="has passed its pivot"):
        restart(run_id, "p", again=True, **WHY)


def test_what_nobody_knows_of_is_marked_first(known: Known, actor: Actor) -> None:
    run_id = stopped_in_doubt(known, actor)
    with pytest.raises(VerbRefused, match="nobody knows whether 'b' happened"):
        restart(run_id, "a", again=True, **WHY)


def test_a_run_that_is_being_undone_does_not_go_forward(known: Known, actor: Actor) -> None:
    run_id = stopped_undoing(known, actor)
    with pytest.raises(VerbRefused, match="is being undone"):
        restart(run_id, "a", again=True, **WHY)

"""Runs under way when their saga's definition changes."""

from __future__ import annotations

import pytest
from django.test import override_settings

from sagas.define import registry
from sagas.define.outcome import Refused, Unknown
from sagas.define.saga import Definition
from sagas.models import Event
from sagas.operate.cancel import cancel
from sagas.run.recover import nudge
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork
from tests.sagas.stage import (
    BACKWARD,
    Actor,
    Known,
    begun,
    carried,
    lapse,
    run_of,
    states,
    status,
    told,
)

pytestmark = pytest.mark.django_db
AT_ONCE = override_settings(SAGAS={"DEPLOY_SECONDS": 0})


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def redeploy(saga: Definition) -> None:
    """Have the workers know this definition in place of the one of that version."""
    registry._sagas.setdefault(saga.name, {})[saga.version] = saga


@AT_ONCE
def test_a_run_that_does_not_fit_says_what_has_changed(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("abc"))))
    redeploy(flow([actor.step("c"), actor.step("a"), actor.step("x")]))
    carried(run_id, "a")
    assert run_of(run_id).attention == (
        "The code that runs this saga does not fit the run: <Saga flow v1> has other steps than "
        "when this run started: step 'b' is gone; step 'x' is new after 'a'; "
        "'c' now comes before 'a'."
    )
    assert actor.calls == []
    assert told(run_id).problems == []


@AT_ONCE
def test_a_run_whose_version_is_gone_is_compared_with_the_newest(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    del registry._sagas["flow"]
    known(flow(actor.steps("a"), version=2))
    nudge(run_id)
    assert run_of(run_id).attention == (
        "The code that runs this saga does not fit the run: Saga 'flow' has no version 1; it has "
        "2. Compared with <Saga flow v2>: step 'b' is gone."
    )


def test_a_young_run_that_does_not_fit_is_left_to_other_workers(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    redeploy(flow(actor.steps("b")))
    carried(run_id, "a")
    assert (status(run_id), run_of(run_id).attention, actor.calls) == ("pending", "", [])


@AT_ONCE
def test_a_run_under_way_goes_on_beside_its_sagas_next_version(known: Known, actor: Actor) -> None:
    old = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(old, "a")
    new = begun(known(flow(actor.steps("bxa"), version=2)))
    carried(new, "b", saga="flow/2")
    carried(old, "b")
    assert actor.calls == ["do a", "do b", "do x", "do a", "do b"]
    assert (status(old), status(new)) == ("succeeded", "succeeded")
    assert (run_of(old).version, run_of(new).version) == (1, 2)


@AT_ONCE
def test_a_compensation_that_was_added_is_called_for_runs_under_way(
    known: Known, actor: Actor
) -> None:
    harmless = [actor.step("a", harmless=True), actor.step("b")]
    run_id = begun(known(flow(harmless, hop=True)))
    carried(run_id, "a")
    redeploy(flow(actor.steps("ab")))
    actor.answers["do b"] = Refused("no")
    carried(run_id, "b")
    carried(run_id, "a", way=BACKWARD, epoch=2)
    assert actor.calls == ["do a", "do b", "undo a"]
    assert status(run_id) == "compensated"
    assert told(run_id).problems == []


@AT_ONCE
def test_a_run_is_not_turned_back_by_code_that_has_lost_a_compensation(
    known: Known, actor: Actor
) -> None:
    run_id = begun(known(flow(actor.steps("ab"), hop=True)))
    carried(run_id, "a")
    redeploy(flow([actor.step("a", harmless=True), actor.step("b")]))
    actor.answers["do b"] = Refused("no")
    carried(run_id, "b")
    assert actor.calls == ["do a"]
    assert run_of(run_id).attention.endswith("step 'a' has lost its compensation.")


@AT_ONCE
def test_a_verify_that_was_added_answers_a_doubt_of_before(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    actor.answers["do a"] = Unknown("timeout")
    carried(run_id, "a")
    redeploy(flow([actor.step("a", verified=True)]))
    actor.answers["verify a"] = 17
    lapse(run_id)
    carried(run_id, "a")
    assert actor.calls == ["do a", "verify a"]
    assert states(run_id) == {"a": "succeeded"}


@AT_ONCE
def test_branches_that_became_a_sequence_stop_the_run(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow([fork(*actor.steps("ab"))])))
    redeploy(flow(actor.steps("ab")))
    carried(run_id, "a")
    words = "'a', 'b' are now in sequence, and were side by side."
    assert run_of(run_id).attention.endswith(words)
    assert Event.objects.filter(run=run_id, new="needs_attention").count() == 1


@AT_ONCE
def test_a_run_that_has_not_begun_goes_on_with_what_fits(known: Known, actor: Actor) -> None:
    harmless = [actor.step("a", harmless=True), actor.step("b")]
    run_id = begun(known(flow(harmless)))
    redeploy(flow(actor.steps("ab")))
    carried(run_id, "a")
    assert (status(run_id), actor.calls) == ("succeeded", ["do a", "do b"])


def test_a_run_under_way_is_cancelled_with_a_definition_that_fits(
    known: Known, actor: Actor
) -> None:
    steps = [actor.step("a", harmless=True), actor.step("b")]
    run_id = begun(known(flow(steps, hop=True)))
    carried(run_id, "a")
    redeploy(flow(actor.steps("ab")))
    assert cancel(run_id) == "compensating"
    assert states(run_id, BACKWARD) == {"a": "ready"}

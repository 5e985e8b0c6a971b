from __future__ import annotations

from typing import Any

import pytest

from sagas import record
from sagas.define.outcome import Refused, RetryLater, Unknown
from sagas.errors import VerbRefused
from sagas.operate.instruction import instruction, stopping_step
from sagas.states import StepStatus
from tests.sagas.flows import flow, fork
from tests.sagas.stage import FORWARD, Actor, Known, begun, carried

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def actor() -> Actor:
    return Actor()


def test_the_step_is_the_one_that_stopped_the_run(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Unknown("reset")
    run_id = begun(known(flow([actor.step("a"), actor.step("b", idempotent=False)])))
    carried(run_id, "a")
    verb = instruction("retry", {}).for_run(record.read(run_id))
    assert verb.model_dump() == {"step": "b", "payload": None}


def test_in_a_run_that_is_undone_it_is_the_compensation(known: Known, actor: Actor) -> None:
    actor.answers |= {"do c": Refused("no"), "undo a": Refused("too late")}
    run_id = begun(known(flow(actor.steps("abc"))))
    carried(run_id, "a")
    assert stopping_step(record.read(run_id)) == "undo of a"


def test_a_step_that_waits_for_its_next_try_is_found_too(known: Known, actor: Actor) -> None:
    actor.answers["do a"] = RetryLater("busy")
    run_id = begun(known(flow(actor.steps("ab"))))
    carried(run_id, "a")
    assert stopping_step(record.read(run_id)) == "a"


def test_several_steps_must_be_told_apart_by_name(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Unknown("reset")
    run_id = begun(known(flow([fork(actor.step("b", idempotent=False), "c")])))
    carried(run_id, "b")
    view = record.read(run_id)
    view.steps[FORWARD, "c"].status = StepStatus.FAILED  # both were in flight
    with pytest.raises(VerbRefused, match=r"Several steps .*: b, c\. Name one"):
        instruction("retry", {}).for_run(view)
    named = instruction("mark", {"step": "c", "happened": True})
    assert named.for_run(view).model_dump()["step"] == "c"


def test_an_optional_step_that_gave_up_has_not_stopped_the_run(known: Known, actor: Actor) -> None:
    actor.answers |= {"do o": Refused("no"), "do b": Unknown("reset")}
    steps = [actor.step("o", optional=True), actor.step("b", idempotent=False)]
    run_id = begun(known(flow(steps)))
    carried(run_id, "o")
    view = record.read(run_id)
    assert [row.status for row in view.steps.values()] == ["failed", "unknown"]
    assert stopping_step(view) == "b"


def test_a_run_that_nothing_stopped_has_no_such_step(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    with pytest.raises(VerbRefused, match="is pending; no step has stopped it"):
        stopping_step(record.read(run_id))


def test_a_verb_without_a_step_needs_none(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("a"))))
    told = instruction("assign", {"owner": "ann"})
    assert told.for_run(record.read(run_id)).model_dump() == {"owner": "ann"}


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("retri", {}, "Did you mean 'retry'"),
        ("retry", {"payload": {"number": 1}}, "For many runs at once there can be no payload"),
        ("mark", {}, "happened"),
        ("cancel", {"step": "a"}, "step"),
        ("assign", {"owner": "x" * 151}, "owner"),
    ],
)
def test_what_does_not_fit_the_verb_is_refused(
    verb: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(VerbRefused, match=message):
        instruction(verb, arguments)


def test_an_empty_step_is_one_that_is_left_out() -> None:
    assert instruction("retry", {"step": ""}).arguments == {}

"""What keeps a run from moving, in whatever state it is."""

from __future__ import annotations

from uuid import UUID

from sagas.define import plan
from sagas.define.blockers import blockers
from sagas.define.draft import Draft
from sagas.define.saga import Definition
from sagas.define.view import RunView, StepView
from sagas.states import Direction, Halt, RunStatus, StepStatus
from tests.sagas.flows import flow, pivot, simple, verified

_R, _S = RunStatus, StepStatus
FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD


def standing(saga: Definition, status: RunStatus = _R.RUNNING, **steps: StepStatus) -> RunView:
    """A run whose steps stand so; the others are pending."""
    view = RunView(UUID(int=1), saga.name, 1, saga.fingerprint, "k", "{}", status=status)
    for name, position in saga.order.items():
        at = steps.get(name, _S.PENDING)
        view.steps[FORWARD, name] = StepView(position, name, FORWARD, position, at, error="no")
    return view


def names(saga: Definition | None, view: RunView) -> list[str]:
    return [one.step.name if one.step else "the code" for one in blockers(saga, view)]


def test_every_step_that_gave_up_blocks_the_run_but_an_optional_one() -> None:
    saga = flow([pivot(simple("p")), simple("o", optional=True), "b", "c"])
    view = standing(saga, p=_S.SUCCEEDED, o=_S.FAILED, b=_S.FAILED, c=_S.FAILED)
    assert names(saga, view) == ["b", "c"]
    assert [one.reason for one in blockers(saga, view)] == [
        "'b' gave up after the pivot: no.",
        "'c' gave up after the pivot: no.",
    ]


def test_an_open_question_blocks_the_run_only_if_nobody_will_ask_it() -> None:
    saga = flow([verified("a"), simple("b")])
    view = standing(saga, a=_S.UNKNOWN)
    assert names(saga, view) == ["a"]
    view.steps[FORWARD, "a"].free_in = 5.0
    assert names(saga, view) == []


def test_a_run_that_turns_back_is_blocked_by_what_cannot_be_asked_or_undone() -> None:
    saga = flow([simple("a"), simple("o", optional=True), simple("b")])
    view = standing(saga, a=_S.UNKNOWN, o=_S.FAILED, b=_S.FAILED)
    view.halt = Halt.CANCELLED
    view.steps[FORWARD, "a"].free_in = 5.0  # to be repeated, but not by a run that turns back
    view.steps[FORWARD, "o"].in_doubt = True
    assert names(saga, view) == ["a", "o"]


def test_a_run_that_is_being_undone_is_blocked_by_a_compensation_that_gave_up() -> None:
    saga = flow(["a", "b"])
    view = standing(saga, _R.COMPENSATING, a=_S.SUCCEEDED, b=_S.FAILED)
    view.steps[BACKWARD, "a"] = StepView(9, "a", BACKWARD, 0, _S.FAILED, error="too late")
    (found,) = blockers(saga, view)
    assert found.reason == "'undo of a' gave up: too late."
    assert found.group == "undo of a: too late"


def test_a_run_whose_code_is_gone_is_blocked_by_that_and_by_its_steps() -> None:
    saga = flow(["a"])
    assert names(None, standing(saga, a=_S.FAILED)) == ["the code", "a"]


def test_nothing_blocks_a_run_that_is_over() -> None:
    saga = flow(["a"])
    assert names(saga, standing(saga, _R.RESOLVED, a=_S.FAILED)) == []


def test_an_active_run_of_which_nothing_will_come_is_stopped_for_its_blockers() -> None:
    saga = flow([pivot(simple("p")), "b"])
    draft = plan.alive(saga, Draft(standing(saga, p=_S.SUCCEEDED, b=_S.FAILED)))
    assert draft.view.status is _R.NEEDS_ATTENTION
    assert draft.view.attention == "'b' gave up after the pivot: no."
    assert draft.view.error_group == "b: no"


def test_a_blocker_is_told_without_the_name_of_its_exception() -> None:
    view = standing(flow([pivot(simple("p")), "b"]), p=_S.SUCCEEDED, b=_S.FAILED)
    view.steps[FORWARD, "b"].error = "PartnerRefused: no such address"
    (found,) = blockers(flow([pivot(simple("p")), "b"]), view)
    assert found.reason == "'b' gave up after the pivot: partner refused: no such address."


def test_a_run_of_which_something_will_come_is_left_active() -> None:
    saga = flow([pivot(simple("p")), "b", "c"])
    for status, due in ((_S.READY, 5.0), (_S.READY, 0.0), (_S.IN_FLIGHT, None), (_S.WAITING, None)):
        view = standing(saga, p=_S.SUCCEEDED, b=_S.FAILED, c=status)
        view.steps[FORWARD, "c"].free_in = due
        assert not plan.alive(saga, Draft(view)).events, status

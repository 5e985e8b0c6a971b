"""A step that waits sees the same in a scenario and in the real engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sagas.api import Refused, Run, Wait, step
from sagas.define.saga import Definition
from sagas.models import Step as StoredStep
from sagas.operate.signal import send_signal
from sagas.testing import given
from sagas.testing.matrix import crash_matrix
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import Known, begun, carried, lapse, status

_Seen = list[tuple[Any, bool]]


def asking(seen: _Seen) -> Definition:
    """A saga of a step that collects two answers, and notes what it sees in each call."""

    @step(harmless=True)
    def ask(run: Run[Payload]) -> Any:
        payload = run.signal and run.signal.payload
        seen.append((payload, run.timed_out))
        if run.timed_out:
            return Refused("nobody answered")
        return payload if payload == "last" else Wait(3600, "answer")

    return flow([ask])


def on_paper(answers: list[Any]) -> tuple[str, _Seen]:
    seen: _Seen = []
    saga = asking(seen)
    scenario = given(saga, Payload()).when("ask", saga.steps["ask"].action)
    for answer in answers:
        scenario.signal("answer", answer)
    return scenario.play().view.status, seen


def early(known: Known, answers: list[Any]) -> tuple[str, _Seen]:
    seen: _Seen = []
    saga = known(asking(seen))
    for answer in answers:
        send_signal("answer", "17", answer)
    run_id = begun(saga, key="17")
    carried(run_id, "ask")
    return finished(run_id), seen


def late(known: Known, answers: list[Any]) -> tuple[str, _Seen]:
    seen: _Seen = []
    run_id = begun(known(asking(seen)), key="17")
    carried(run_id, "ask")
    for answer in answers:
        assert send_signal("answer", "17", answer)
        carried(run_id, "ask")
    return finished(run_id), seen


def finished(run_id: Any) -> str:
    """How the run ends when no signal comes any more."""
    if StoredStep.objects.filter(run_id=run_id, status="waiting").exists():
        lapse(run_id)
        carried(run_id, "ask")
    return status(run_id)


@pytest.mark.django_db
@pytest.mark.usefixtures("post")
@pytest.mark.parametrize("real", [early, late])
@pytest.mark.parametrize("answers", [[], ["first"], ["first", "last"], ["last"], [None, "last"]])
def test_a_step_that_waits_sees_the_same_on_paper_and_in_the_engine(
    known: Known, answers: list[Any], real: Callable[[Known, list[Any]], tuple[str, _Seen]]
) -> None:
    assert real(known, answers) == on_paper(answers)


@pytest.mark.django_db(transaction=True)
def test_a_step_that_waits_survives_every_crash(known: Known) -> None:
    saga = known(asking([]))
    report = crash_matrix(saga, Payload(), signals={"answer": "last"}, live=True)
    assert not report.violations, str(report)
    assert len(report.cases) > 8

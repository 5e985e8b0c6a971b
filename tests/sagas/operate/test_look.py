from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from sagas import models
from sagas.api import (
    Refused,
    RetryLater,
    Run,
    Unknown,
    UnknownRun,
    parallel,
    step,
    wait_for,
    wait_until,
)
from sagas.define import registry
from sagas.define.saga import Definition, Node
from sagas.operate.expected import Around, Expected, Next, expected
from sagas.operate.look import look
from sagas.states import SETTLED_STEPS, Direction, RunStatus, StepStatus
from tests.sagas.driven import driven
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def seen(*steps: Node | str, **payload: str) -> list[Expected]:
    """What a run of these steps waits for, carried as far as it goes."""
    return look(driven(known(*steps), Payload(**payload))).expected


def known(*steps: Node | str) -> Definition:
    saga = flow(steps)
    registry.register(saga)
    return saga


def test_a_run_is_read_with_its_steps_forward_first() -> None:
    sight = look(driven(known("a", "b"), Payload(refuse="b")))
    assert sight.run.status == "compensated"
    assert [(s.name, s.direction) for s in sight.steps] == [
        ("a", Direction.FORWARD),
        ("b", Direction.FORWARD),
        ("a", Direction.BACKWARD),
    ]


def test_a_look_is_one_statement_that_reads_no_payload_and_no_result() -> None:
    run_id = driven(known("a", "b"), Payload())
    with counted() as statements:
        sight = look(run_id)
        assert (sight.run.status, sight.expected) == ("succeeded", [])
    assert len(statements) == 1
    assert '"payload"' not in statements[0]
    assert '"amended"' not in statements[0]
    assert '"result"' not in statements[0]


def test_an_unknown_run_is_refused() -> None:
    with pytest.raises(UnknownRun, match="00000000"):
        look(UUID(int=0))


def test_nothing_follows_when_a_run_is_over() -> None:
    assert seen("a") == []


@pytest.mark.parametrize("status", StepStatus)
def test_something_is_expected_of_every_step_that_is_open(status: StepStatus) -> None:
    step = models.Step(name="a", direction=Direction.FORWARD, status=status)
    found = expected(models.Run(status=RunStatus.RUNNING), [step], Around(timezone.now()), None)
    still = {StepStatus.PENDING, StepStatus.FAILED, *SETTLED_STEPS}
    assert bool(found) == (status not in still)


def test_a_step_that_failed_is_tried_again_when_it_is_due() -> None:
    @step
    def busy(run: Run[Payload]) -> RetryLater:
        return RetryLater("busy", after=3600)

    busy.compensate(lambda run: None)
    [expected] = seen("a", busy)
    assert (expected.what, expected.step) == (Next.RETRY, "busy")
    assert expected.at is not None


def test_what_may_have_happened_is_found_out() -> None:
    @step
    def lost(run: Run[Payload]) -> Unknown:
        return Unknown("no answer", after=3600)

    lost.compensate(lambda run: None)
    [expected] = seen(lost)
    assert (expected.what, expected.step) == (Next.FIND_OUT, "lost")


def test_a_signal_and_a_time_are_waited_for_side_by_side() -> None:
    signal = wait_for("approved", timeout=timedelta(days=1))
    time = wait_until("tomorrow", lambda run: timedelta(days=1))
    first, second = seen(parallel(signal, time))
    assert (first.what, first.signal, first.correlation) == (Next.SIGNAL, "approved", "order:1")
    assert (second.what, second.step, second.signal) == (Next.TIME, "tomorrow", "")
    assert first.at is not None
    assert second.at is not None


def test_a_run_that_turned_back_waits_for_its_compensations() -> None:
    saga = known(simple("a", undo={"timeout": 1}), "b")
    run_id = driven(saga, Payload(refuse="b"))
    models.Step.objects.filter(run=run_id, direction=Direction.BACKWARD).update(
        status=StepStatus.READY, tries=1
    )
    sight = look(run_id)
    sight.run.status = "compensating"
    assert [(e.what, e.direction) for e in sight.expected] == [(Next.RETRY, Direction.BACKWARD)]


def test_a_run_that_needs_attention_waits_for_a_person() -> None:
    @step
    def stuck(run: Run[Payload]) -> None:
        return None

    stuck.compensate(lambda run: Refused("it cannot be undone"))
    (found,) = seen(stuck, "b", refuse="b")
    assert found == Expected(Next.PERSON, since=found.since)
    assert found.since is not None

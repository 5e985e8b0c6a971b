"""Stories of real Celery workers: processes that are killed, hang, or lose their messages."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from redis import Redis

from project.world import World
from sagas.api import send_signal, start
from sagas.models import Run, Step
from sagas.states import RunStatus, StepStatus
from sagas.testing.ledger import Ledger
from tests.stories.waiting import at_rest, history, until

pytestmark = pytest.mark.django_db(transaction=True)


def begin(saga: str, folder: Path, **payload: str) -> UUID:
    from tests.stories.work import sagas as flows  # known to this process from here on

    assert flows.gated
    return start(saga, {"folder": str(folder), **payload}, key=saga).id


def calls(folder: Path) -> Counter[str]:
    return Counter(f"{c.step} {c.direction}" for c in Ledger(folder / "ledger").calls())


def in_flight(run_id: UUID, step: str) -> bool:
    return Step.objects.filter(run=run_id, name=step, status=StepStatus.IN_FLIGHT).exists()


def test_a_step_on_another_queue_is_performed_by_that_queues_worker(
    stories: World, tmp_path: Path
) -> None:
    stories.workers(processes=1)
    run = at_rest(begin("hopping", tmp_path))
    assert run.status == RunStatus.SUCCEEDED
    workers = dict(run.events.filter(new="succeeded").values_list("step", "worker"))
    assert workers["a"] == workers["c"] == workers["d"]
    assert workers["b"] != workers["a"]
    assert set(calls(tmp_path).values()) == {1}


def test_branches_join_and_are_undone_across_workers(stories: World, tmp_path: Path) -> None:
    stories.workers(processes=2)
    run = at_rest(begin("forked", tmp_path, refuse="d"))
    assert run.status == RunStatus.COMPENSATED
    assert calls(tmp_path) == Counter(
        f"{name} {direction}"
        for direction in ("forward", "backward")
        for name in ("a", "b1", "b2", "c", "d")
        if (name, direction) != ("d", "backward")
    )


def test_a_killed_workers_step_is_taken_over_with_the_same_key(
    stories: World, tmp_path: Path
) -> None:
    stories.workers({"steps": ["sagas"]}, processes=1)
    run_id = begin("gated", tmp_path)
    until(lambda: in_flight(run_id, "blocking") and "blocking forward" in calls(tmp_path))
    os.killpg(stories.pid("steps"), signal.SIGKILL)
    (tmp_path / "gate").touch()
    assert at_rest(run_id).status == RunStatus.SUCCEEDED, history(run_id)
    assert calls(tmp_path)["blocking forward"] == 2
    assert len(Ledger(tmp_path / "ledger").effects()) == 3
    assert Step.objects.get(run=run_id, name="blocking").attempt == 2


def test_a_killed_childs_step_is_taken_over(stories: World, tmp_path: Path) -> None:
    stories.workers({"steps": ["sagas"]}, processes=1)
    run_id = begin("gated", tmp_path)
    until(lambda: in_flight(run_id, "blocking"))
    child = Step.objects.get(run=run_id, name="blocking").pid
    assert child != stories.pid("steps")
    assert child in {p.pid for p in psutil.Process(stories.pid("steps")).children(recursive=True)}
    (tmp_path / "gate").touch()
    os.kill(child, signal.SIGKILL)
    assert at_rest(run_id).status == RunStatus.SUCCEEDED, history(run_id)


def test_a_step_that_swallows_its_time_limit_is_ended_with_its_process(
    stories: World, tmp_path: Path
) -> None:
    stories.workers({"steps": ["sagas"]}, processes=1)
    run = at_rest(begin("hanging", tmp_path))
    assert run.status == RunStatus.SUCCEEDED
    step = run.steps.get(name="stubborn")
    assert (step.attempt, step.tries) == (2, 2)


def test_a_lost_message_is_sent_again(stories: World, tmp_path: Path) -> None:
    run_id = begin("gated", tmp_path)
    (tmp_path / "gate").touch()
    _lose_every_message()
    stories.workers({"steps": ["sagas"]}, processes=1)
    assert at_rest(run_id).status == RunStatus.SUCCEEDED, history(run_id)


def test_a_waiting_run_holds_no_worker_until_its_signal_comes(
    stories: World, tmp_path: Path
) -> None:
    stories.workers({"steps": ["sagas"]}, processes=1)
    waiting = begin("answered", tmp_path)
    until(lambda: Step.objects.filter(run=waiting, status=StepStatus.WAITING).exists())
    (tmp_path / "gate").touch()
    other = begin("gated", tmp_path)
    assert at_rest(other).status == RunStatus.SUCCEEDED  # by the only worker process there is
    assert Run.objects.get(id=waiting).status == RunStatus.RUNNING
    assert send_signal("answer", "answered", {"yes": True})
    assert at_rest(waiting).status == RunStatus.SUCCEEDED
    assert Step.objects.get(run=waiting, name="answer").result == {"yes": True}


def _lose_every_message() -> None:
    prefix = os.environ["REDIS_PREFIX"]
    with Redis.from_url(os.environ["BROKER_URL"]) as broker:
        lost = broker.delete(f"{prefix}sagas")
    assert lost, "there was no message to lose"

"""How soon a lost worker's step goes on elsewhere: by its lease, and a lost child's without it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from uuid import UUID

import pytest

from project.world import World
from sagas.models import Event, Step, Worker
from sagas.states import RunStatus
from tests.stories.conftest import QUICK
from tests.stories.test_workers import begin, calls, in_flight
from tests.stories.waiting import at_rest, history, until

pytestmark = pytest.mark.django_db(transaction=True)


def claims(run_id: UUID) -> list[Event]:
    found = Event.objects.filter(run=run_id, step="blocking", new="in_flight")
    return list(found.order_by("id"))


def lost(world: World, folder: Path, lease: float, kill: str) -> tuple[UUID, float]:
    """A run whose blocking step loses its worker, or only its process. Gives when, too."""
    world.environment["SAGAS"] = json.dumps(QUICK | {"LEASE_SECONDS": lease})
    world.workers({"one": ["sagas"], "two": ["sagas"]}, processes=1)
    until(lambda: Worker.objects.count() == 2)
    run_id = begin("gated", folder)
    until(lambda: in_flight(run_id, "blocking") and "blocking forward" in calls(folder))
    step = Step.objects.get(run=run_id, name="blocking")
    holder = Worker.objects.get(name=step.worker)
    assert step.pid
    at = time.time()
    if kill == "child":
        os.kill(step.pid, signal.SIGKILL)
    else:
        os.killpg(os.getpgid(holder.pid), signal.SIGKILL)
    (folder / "gate").touch()
    return run_id, at


def test_another_worker_goes_on_when_the_lease_of_a_killed_one_is_over(
    stories: World, tmp_path: Path
) -> None:
    run_id, at = lost(stories, tmp_path, 3, "worker")
    assert at_rest(run_id).status == RunStatus.SUCCEEDED, history(run_id)
    first, second = claims(run_id)
    assert second.data.get("took_over")
    assert second.worker != first.worker
    print(f"taken over {second.at.timestamp() - at:.2f} s after SIGKILL; lease 3 s, sweep 0.2 s")


def test_a_killed_child_is_missed_by_its_worker_long_before_any_lease(
    stories: World, tmp_path: Path
) -> None:
    run_id, at = lost(stories, tmp_path, 300, "child")
    assert at_rest(run_id).status == RunStatus.SUCCEEDED, history(run_id)
    _, second = claims(run_id)
    assert second.data.get("took_over")
    waited = second.at.timestamp() - at
    assert waited < 60, "its time limit or its lease has set it free"
    print(f"taken over {waited:.2f} s after SIGKILL; lease 300 s, sweep 0.2 s")

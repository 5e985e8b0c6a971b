"""Step tasks leave nothing in Celery's result store: the record is theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django_celery_results.models import TaskResult

from project.queues import WORKER_GROUPS
from project.world import World
from sagas.models import Run
from sagas.states import RunStatus
from tests.stories.waiting import at_rest


@pytest.mark.django_db(transaction=True)
def test_a_run_stores_no_task_results(stories: World, tmp_path: Path) -> None:
    stories.workers(processes=1)
    payload = json.dumps({"folder": str(tmp_path), "refuse": "d"})
    # A process that has not imported the tasks sends them by name only.
    stories.manage("sagas", "start", "hopping", "--key", "hopping", "--payload", payload)
    assert at_rest(Run.objects.get().id).status == RunStatus.COMPENSATED
    stories.stop(*WORKER_GROUPS)  # a result would be stored after the run's last move
    assert not TaskResult.objects.exists()

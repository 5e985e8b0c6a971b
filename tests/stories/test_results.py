"""Step tasks leave nothing in Celery's result store: the record is theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from django_celery_results.models import TaskResult

from project.world import World
from sagas.states import RunStatus
from tests.stories.test_workers import begin
from tests.stories.waiting import at_rest


@pytest.mark.django_db(transaction=True)
def test_a_run_stores_no_task_results(stories: World, tmp_path: Path) -> None:
    stories.workers(processes=1)
    assert at_rest(begin("hopping", tmp_path, refuse="d")).status == RunStatus.COMPENSATED
    assert not TaskResult.objects.exists()

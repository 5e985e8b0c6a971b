"""A batch whose worker is killed: another goes on, and every run is dealt with exactly once."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django_celery_results.models import TaskResult

from project.world import World
from sagas.models import AuditEntry, Batch, ItemStatus, Run, Worker
from sagas.operate.bulk import confirm, draft
from sagas.operate.instruction import instruction
from sagas.operate.tally import counts
from sagas.run.start import start
from sagas.states import RunStatus
from tests.stories.conftest import QUICK
from tests.stories.test_workers import begin
from tests.stories.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
RUNS = 60


def operator() -> User:
    ann = User.objects.create_user("ann")
    names = ("view_run", "change_run", "add_batch")
    ann.user_permissions.set(Permission.objects.filter(codename__in=names))
    return ann


def begun(folder: Path) -> list[UUID]:
    """Runs that wait for an answer which does not come."""
    begin("answered", folder)  # so that the saga is known here
    for number in range(RUNS - 1):
        start("answered", {"folder": str(folder)}, key=f"answered:{number}")
    return list(Run.objects.values_list("id", flat=True))


def done(batch: Batch) -> int:
    return counts(batch)[ItemStatus.ACCEPTED]


def test_another_worker_goes_on_with_a_batch_whose_worker_was_killed(
    stories: World, tmp_path: Path
) -> None:
    stories.environment["SAGAS"] = json.dumps(QUICK | {"LEASE_SECONDS": 1})
    ids = begun(tmp_path)
    stories.workers({"one": ["sagas"]}, processes=2)
    until(lambda: Run.objects.filter(status=RunStatus.RUNNING).count() == RUNS)
    ann = operator()
    told = instruction("assign", {"owner": "ann"})
    batch = draft(Run.objects.filter(id__in=ids), told, by=ann, reason="mine", rate=10)
    confirm(batch.pk, ann)
    until(lambda: done(batch) >= RUNS // 4)
    one = Worker.objects.get()
    os.killpg(os.getpgid(one.pid), signal.SIGKILL)
    at_death = done(batch)
    assert RUNS // 4 <= at_death < RUNS, "it was killed in the middle"
    stories.workers({"two": ["sagas"]}, processes=2)
    until(lambda: Batch.objects.get(pk=batch.pk).status == "done", story=lambda: str(counts(batch)))
    assert counts(batch)[ItemStatus.ACCEPTED] == RUNS
    audited = Counter(AuditEntry.objects.filter(verb="assign").values_list("run", flat=True))
    assert audited == Counter(ids)
    assert set(Run.objects.values_list("owner", flat=True)) == {"ann"}
    last = Batch.objects.get(pk=batch.pk).task_id
    until(lambda: TaskResult.objects.filter(task_id=last, status="SUCCESS").exists())
    result = json.loads(TaskResult.objects.get(task_id=last).result)
    assert (result["status"], result["accepted"], result["ready"]) == ("finished", RUNS, 0)
    print(f"killed after {at_death} of {RUNS} runs")

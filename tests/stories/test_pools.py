"""Stories of workers whose pool is not prefork: they say what it does not give, and work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from project.world import World
from sagas.models import Run
from sagas.states import RunStatus
from tests.stories.test_brokers import begin
from tests.stories.waiting import at_rest
from tests.stories.worker_process import worker_process

pytestmark = pytest.mark.django_db(transaction=True)

LACKS = {
    "prefork": [],
    "solo": ["ends the whole worker", "reads no messages"],
    "threads": ["No time limit ends a step", "All steps share one process"],
    "gevent": ["No time limit ends a step", "All steps share one process", "database connection"],
}


@pytest.mark.parametrize("pool", LACKS)
def test_a_worker_says_at_its_start_what_its_pool_does_not_give(
    stories: World, tmp_path: Path, pool: str
) -> None:
    if pool == "gevent":
        pytest.importorskip("gevent")
    options = (f"--pool={pool}", "--concurrency=2", "--queues=sagas,payments", "--without-mingle")
    environment = stories.environment | {"SAGAS": json.dumps({"SWEEP_SECONDS": 0.2})}
    with worker_process(environment, tmp_path / "log", *options) as worker:
        runs = [begin("hopping", tmp_path, str(number)) for number in range(6)]
        assert {at_rest(run_id, 120).status for run_id in runs} == {RunStatus.SUCCEEDED}
        said = [line for line in worker.log().splitlines() if "sagas.pools" in line]
    assert all(any(lack in line for line in said) for lack in LACKS[pool]), said
    assert bool(said) is (pool != "prefork")
    assert Run.objects.count() == 6

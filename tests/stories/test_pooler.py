"""A story of an engine whose every connection goes through PgBouncer in transaction mode."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from project.world import World
from sagas.models import Run
from sagas.states import RunStatus
from sagas.testing.ledger import Ledger
from tests.project.pgbouncer import pgbouncer
from tests.stories.conftest import QUICK
from tests.stories.test_brokers import Door, begin
from tests.stories.waiting import at_rest

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = int(os.environ.get("POOLED_RUNS", "16"))


@pytest.fixture
def pooled(process_environment: dict[str, str], tmp_path: Path) -> Iterator[World]:
    """A world that shares three connections to the server."""
    with pgbouncer(tmp_path / "pooler", os.environ["DATABASE_URL"], connections=3) as pooler:
        environment = {
            **process_environment,
            "DATABASE_URL": pooler.url(connection.settings_dict["NAME"]),
            "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
            "SAGAS": json.dumps({**QUICK, "PREPARED_STATEMENTS": False}),
        }
        with World(tmp_path, environment) as world:
            yield world


def test_web_workers_and_commands_share_the_connections_of_a_pooler_in_transaction_mode(
    pooled: World, tmp_path: Path
) -> None:
    door = Door(pooled.web(0), tmp_path)
    pooled.workers(processes=2)
    with ThreadPoolExecutor(4) as callers:
        accepted = list(callers.map(door.start, (f"run-{n}" for n in range(RUNS))))
    assert Counter(at_rest(run_id, 180).status for run_id, _ in accepted) == {
        RunStatus.SUCCEEDED: RUNS
    }
    waiting = begin("answered", tmp_path)
    pooled.manage("sagas", "signal", "answer", "answered:first")  # which takes an advisory lock
    assert at_rest(waiting, 180).status == RunStatus.SUCCEEDED
    effects = Counter((effect.step, effect.key) for effect in Ledger(tmp_path / "ledger").effects())
    assert set(effects.values()) == {1}
    assert "agree" in pooled.manage("sagas", "verify")
    archive = tmp_path / "archive.jsonl.gz"
    pooled.manage("sagas", "archive", "--older-than", "1s", "--to", str(archive))
    assert Run.objects.count() == 0

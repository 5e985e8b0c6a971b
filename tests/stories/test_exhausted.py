"""Stories of engines that lack something: memory, connections, disk, or the schema's newest part.

Nothing is lost or done twice; all goes on afterwards.
``EXHAUSTED_RUNS=200 pytest tests/stories/test_exhausted.py`` is the long form.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sagas.testing.ledger import Ledger
from tests.project.private_postgres import PrivatePostgres, private_postgres
from tests.project.private_redis import PrivateRedis, private_redis
from tests.project.processes import ROOT
from tests.stories.conftest import QUICK
from tests.stories.waiting import until
from tests.stories.worker_process import WorkerProcess, worker_process

RUNS = int(os.environ.get("EXHAUSTED_RUNS", "4"))
OPTIONS = ("--concurrency=2", "--queues=sagas,payments", "--without-mingle")
STEPS = 4  # of the saga "hopping"

#: Starts runs and says of each key that it reads whether the start was accepted.
STARTER = """
import sys
import django
django.setup()
from django.db import Error, connection
from sagas.api import start
from tests.stories.work.sagas import hopping
for key in sys.argv[2:]:
    try:
        start(hopping, {"folder": sys.argv[1]}, key=key)
        print(key)
    except Error as error:
        connection.close()
        print(type(error).__name__, file=sys.stderr)
"""


class Place:
    """A worker, its engines, and what was started there."""

    def __init__(
        self, postgres: PrivatePostgres, redis: PrivateRedis, worker: WorkerProcess, folder: Path
    ) -> None:
        self.postgres, self.redis, self.worker = postgres, redis, worker
        self.folder = folder
        self.accepted: set[str] = set()

    def start(self, prefix: str) -> int:
        """Start some runs; how many of them were accepted."""
        keys = [f"{prefix}-{number}" for number in range(RUNS)]
        command = [sys.executable, "-c", STARTER, str(self.folder), *keys]
        environment = environment_of(self.postgres, self.redis)
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        accepted = set(done.stdout.split())
        self.accepted |= accepted
        return len(accepted)

    def until_all_succeed(self) -> None:
        """Wait until every accepted run has succeeded; each has had its effects, once."""
        until(lambda: self._states() == {"succeeded": len(self.accepted)}, 180, self._story)
        effects = Counter(effect.step for effect in Ledger(self.folder / "ledger").effects())
        assert effects == dict.fromkeys("abcd", len(self.accepted))
        assert self.worker.lives()

    def _states(self) -> dict[str, int]:
        rows = self.postgres.rows("SELECT status, count(*) FROM sagas_run GROUP BY status")
        return {str(status): int(count) for status, count in rows}

    def _story(self) -> str:
        return f"{self._states()}\n{self.worker.log()[-5000:]}"


def environment_of(postgres: PrivatePostgres, redis: PrivateRedis) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": postgres.url,
        "BROKER_URL": redis.url(0),
        "REDIS_URL": redis.url(1),
        "DJANGO_SETTINGS_MODULE": "tests.stories.settings",
        "SAGAS": json.dumps(QUICK),
    }


@contextmanager
def place(folder: Path, database: Path, **options: str) -> Iterator[Place]:
    """A worker that has performed some runs on engines of its own."""
    with (
        private_postgres(database, **options) as postgres,
        private_redis(folder / "redis") as redis,
        worker_process(environment_of(postgres, redis), folder / "log", *OPTIONS) as worker,
    ):
        place = Place(postgres, redis, worker, folder)
        assert place.start("before") == RUNS
        place.until_all_succeed()
        yield place


def test_starts_while_redis_is_out_of_memory_are_accepted_and_finish_afterwards(
    tmp_path: Path,
) -> None:
    with place(tmp_path, tmp_path / "postgres") as here:
        with here.redis.client() as client:
            client.config_set("maxmemory", "1mb")
            with pytest.raises(Exception, match="maxmemory"):
                client.set("probe", "x")
        assert here.start("during") == RUNS
        with here.redis.client() as client:
            client.config_set("maxmemory", "0")
        here.until_all_succeed()


def test_while_postgresql_has_no_connection_left_nothing_is_lost(tmp_path: Path) -> None:
    options = {"max_connections": "20", "superuser_reserved_connections": "0"}
    with place(tmp_path, tmp_path / "postgres", **options) as here:
        taken = [psycopg.connect(here.postgres.url, autocommit=True)]
        try:
            assert take_every_connection(here.postgres, taken)
            assert here.start("during") == 0  # refused, so nobody believes in them
        finally:
            for connection in taken:
                connection.close()
        assert here.start("after") == RUNS
        here.until_all_succeed()


def take_every_connection(postgres: PrivatePostgres, taken: list[Any]) -> bool:
    """End the others' sessions and take their places; whether one more was refused."""
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = %s"
    ended += " AND pid <> ALL (%s)"
    for _ in range(3):
        ours = [connection.info.backend_pid for connection in taken]
        taken[0].execute(ended, ["client backend", ours])
        with suppress(psycopg.OperationalError):
            while True:
                taken.append(psycopg.connect(postgres.url, autocommit=True))
    try:
        psycopg.connect(postgres.url).close()
    except psycopg.OperationalError as error:
        return "too many clients" in str(error)
    return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_while_the_disk_of_postgresql_is_full_nothing_is_lost(
    tmp_path: Path, small_disk: Path
) -> None:
    with place(tmp_path, small_disk / "postgres", wal_recycle="off", max_wal_size="32MB") as here:
        assert here.start("waiting") == RUNS  # some of them may be in flight
        fill(small_disk / "filler")
        with pytest.raises(psycopg.Error):  # PostgreSQL itself notices
            here.postgres.rows("CREATE TABLE filler AS SELECT generate_series(1, 5000000)")
        here.start("during")  # what still finds room is accepted
        (small_disk / "filler").unlink()
        if not here.postgres.lives():  # it ends when it cannot write its log
            here.postgres.start()
        until(lambda: answers(here.postgres), 120)
        assert here.start("after") == RUNS
        here.until_all_succeed()


def fill(file: Path) -> None:
    """Write until nothing fits."""
    with suppress(OSError), file.open("wb") as output:
        while shutil.disk_usage(file.parent).free:
            output.write(b"\0" * 65536)
            output.flush()


def answers(postgres: PrivatePostgres) -> bool:
    try:
        return postgres.rows("SELECT 1") == [(1,)]
    except psycopg.Error:
        return False


def test_code_that_is_newer_than_the_schema_loses_nothing_until_it_is_migrated(
    tmp_path: Path,
) -> None:
    """What needs a new column fails in the database, before any call, and is done afterwards."""
    with place(tmp_path, tmp_path / "postgres") as here:
        migrate(here, "0007")
        here.start("during")
        migrate(here)
        assert here.start("after") == RUNS
        here.until_all_succeed()


def migrate(here: Place, *to: str) -> None:
    command = [
        sys.executable,
        "manage.py",
        "migrate",
        "sagas",
        *to,
        "--skip-checks",
        "--verbosity=0",
    ]
    environment = environment_of(here.postgres, here.redis)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=300)

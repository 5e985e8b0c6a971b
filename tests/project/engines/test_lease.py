from pathlib import Path

import pytest

from project.engines.lease import EnginesBusy, Lease, running
from tests.project.processes import kill, read_line
from tests.project.processes import running as running_process

HOLDER = """
import sys, time
from pathlib import Path
from project.engines.lease import Lease
lease = Lease(Path(sys.argv[1]))
lease.publish({"REDIS_URL": "redis://there"})
print("held", flush=True)
time.sleep(600)
"""

# Its child, as a guard does, holds the lock a little longer.
LINGERING = HOLDER.replace(
    "print(", "import os; os.fork() or time.sleep(0.5) or os._exit(0); print("
)


def test_what_is_published_can_be_read_while_the_lease_is_held(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    lease.publish({"REDIS_URL": "redis://here"})
    assert running(tmp_path) == {"REDIS_URL": "redis://here"}
    lease.release()
    assert running(tmp_path) == {}


def test_only_the_owner_may_read_the_addresses(tmp_path: Path) -> None:
    lease = Lease(tmp_path)
    lease.publish({"REDIS_URL": "redis://:secret@here"})
    assert (tmp_path / "engines.json").stat().st_mode & 0o077 == 0
    lease.release()


def test_a_second_starter_is_refused_and_told_who_was_first(tmp_path: Path) -> None:
    with running_process(HOLDER, str(tmp_path)) as holder:
        read_line(holder)
        with pytest.raises(EnginesBusy, match=f"another process \\({holder.pid}\\).*DATABASE_URL"):
            Lease(tmp_path)


def test_the_addresses_of_a_killed_starter_are_not_believed(tmp_path: Path) -> None:
    with running_process(HOLDER, str(tmp_path)) as holder:
        read_line(holder)
        assert running(tmp_path) == {"REDIS_URL": "redis://there"}
        kill(holder.pid)
        holder.wait()
        assert running(tmp_path) == {}


def test_a_killed_starter_does_not_keep_the_lease(tmp_path: Path) -> None:
    with running_process(HOLDER, str(tmp_path)) as holder:
        read_line(holder)
        kill(holder.pid)
        holder.wait()
        Lease(tmp_path).release()


def test_a_starter_waits_while_the_engines_of_a_killed_one_end(tmp_path: Path) -> None:
    with running_process(LINGERING, str(tmp_path)) as holder:
        read_line(holder)
        kill(holder.pid)
        holder.wait()
        assert running(tmp_path) == {"REDIS_URL": "redis://there"}, "its child still holds the lock"
        Lease(tmp_path).release()


def test_nothing_runs_in_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert running(tmp_path / "nowhere") == {}

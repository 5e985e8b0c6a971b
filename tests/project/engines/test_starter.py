"""What `Engines` promises as a whole; PostgreSQL and Redis run for real."""

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from project.engines import Engines, EnginesBusy, running
from project.supervisor import Supervisor
from tests.project.processes import gone, kill, read_line, until
from tests.project.processes import running as running_process

STARTER = """
import json, sys, time
from pathlib import Path
from project.engines import Engines
from project.supervisor import Supervisor
engines = Engines(Path(sys.argv[1]), {}, Supervisor(sys.stderr))
print(json.dumps(engines.addresses), flush=True)
time.sleep(600)
"""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor(io.StringIO())
    yield supervisor
    supervisor.stop()


def pids_under(var: Path) -> list[int]:
    """The servers whose working directory is under `var`."""
    return [
        process.pid
        for process in psutil.process_iter(["cwd"])
        if (process.info["cwd"] or "").startswith(str(var.resolve()))
    ]


def write(addresses: dict[str, str]) -> None:
    with psycopg.connect(addresses["DATABASE_URL"]) as postgres:
        postgres.execute("create table kept (word text)")
        postgres.execute("insert into kept values ('kept')")
    with Redis.from_url(addresses["BROKER_URL"]) as redis:
        redis.set("word", "kept")


def read(addresses: dict[str, str]) -> list[str]:
    with psycopg.connect(addresses["DATABASE_URL"]) as postgres:
        row = postgres.execute("select word from kept").fetchone()
    with Redis.from_url(addresses["BROKER_URL"], decode_responses=True) as redis:
        return [row and row[0], redis.get("word")]


def test_stopped_engines_are_gone_and_come_back_with_their_data(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    engines = Engines(tmp_path, {}, supervisor)
    write(engines.addresses)
    engines.stop()
    assert pids_under(tmp_path) == []
    assert running(tmp_path) == {}

    engines = Engines(tmp_path, {}, supervisor)
    assert read(engines.addresses) == ["kept", "kept"]
    engines.stop()


def test_the_engines_keep_what_they_are_told(tmp_path: Path, supervisor: Supervisor) -> None:
    engines = Engines(tmp_path, {}, supervisor)
    with psycopg.connect(engines.addresses["DATABASE_URL"]) as postgres:
        row = postgres.execute(
            "select current_setting('fsync'), current_setting('synchronous_commit'),"
            " current_setting('server_encoding'), current_setting('timezone')"
        ).fetchone()
    assert row == ("on", "on", "UTF8", "UTC")
    with Redis.from_url(engines.addresses["REDIS_URL"], decode_responses=True) as redis:
        kept = redis.config_get("*")
    assert kept["maxmemory-policy"] == "noeviction"
    assert (kept["appendonly"], kept["appendfsync"]) == ("yes", "everysec")
    engines.stop()


def test_the_broker_and_the_rest_use_two_databases_of_redis(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    engines = Engines(tmp_path, {"DATABASE_URL": "postgresql://elsewhere/there"}, supervisor)
    assert engines.addresses["BROKER_URL"] != engines.addresses["REDIS_URL"]
    engines.stop()


def test_engines_that_the_environment_names_are_not_started(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    named = {"BROKER_URL": "redis://elsewhere", "REDIS_URL": "redis://elsewhere"}
    engines = Engines(tmp_path, named, supervisor)
    assert list(engines.addresses) == ["DATABASE_URL"]
    assert not (tmp_path / "redis").exists()
    engines.stop()


def test_when_all_are_named_nothing_is_touched(tmp_path: Path, supervisor: Supervisor) -> None:
    named = {"DATABASE_URL": "x", "BROKER_URL": "y", "REDIS_URL": "z"}
    engines = Engines(tmp_path / "var", named, supervisor)
    assert engines.addresses == {}
    engines.stop()
    assert not (tmp_path / "var").exists()


def test_only_who_knows_the_password_gets_into_redis(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    engines = Engines(tmp_path, {"DATABASE_URL": "postgresql://elsewhere/there"}, supervisor)
    address = urlsplit(engines.addresses["REDIS_URL"])
    with (
        Redis(port=address.port or 0) as stranger,
        pytest.raises(RedisError, match=r"(?i)auth"),
    ):
        stranger.ping()
    arguments = [word for pid in pids_under(tmp_path) for word in psutil.Process(pid).cmdline()]
    assert arguments
    assert str(address.password) not in " ".join(arguments)
    engines.stop()


def test_an_engine_that_dies_is_started_again_at_the_same_address(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    engines = Engines(tmp_path, {}, supervisor)
    write(engines.addresses)
    for pid in pids_under(tmp_path):
        kill(pid)
    until(lambda: answers(engines.addresses), "both answer again")
    assert read(engines.addresses)[0] == "kept"
    engines.stop()


def answers(addresses: dict[str, str]) -> bool:
    try:
        read(addresses)
    except Exception:
        return False
    return True


def test_a_killed_starter_leaves_no_engine(tmp_path: Path) -> None:
    with running_process(STARTER, str(tmp_path)) as starter:
        addresses = json.loads(read_line(starter))
        write(addresses)
        assert running(tmp_path) == addresses
        kill(starter.pid)
        until(lambda: pids_under(tmp_path) == [], "both engines are gone")
        until(lambda: running(tmp_path) == {}, "their guards are gone")
        assert not (tmp_path / "postgres" / "socket").exists(), "its folder outside is still there"


def test_the_next_starter_takes_over_at_once_from_a_killed_one(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    with running_process(STARTER, str(tmp_path)) as starter:
        write(json.loads(read_line(starter)))
        kill(starter.pid)
        starter.wait()
        engines = Engines(tmp_path, {}, supervisor)
    assert read(engines.addresses) == ["kept", "kept"]
    engines.stop()


def test_a_second_starter_is_refused_while_the_first_lives(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    with running_process(STARTER, str(tmp_path)) as starter:
        addresses = json.loads(read_line(starter))
        with pytest.raises(EnginesBusy, match=str(starter.pid)):
            Engines(tmp_path, {}, supervisor)
        write(addresses)  # the first one's engines are as well as before


def test_engines_left_by_a_crash_of_all_their_keepers_are_ended_and_replaced(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    with running_process(STARTER, str(tmp_path)) as starter:
        write(json.loads(read_line(starter)))
        guards = psutil.Process(starter.pid).children()
        left = pids_under(tmp_path)
        for guard in guards:
            guard.suspend()  # else the first to hear that its owner is gone stops its engine
        for pid in (starter.pid, *(guard.pid for guard in guards)):
            kill(pid)
        until(lambda: running(tmp_path) == {}, "the keepers are gone")
        assert left
        assert not any(map(gone, left)), "nothing is left over, so this proves nothing"
    engines = Engines(tmp_path, {}, supervisor)
    assert read(engines.addresses)[0] == "kept"
    until(lambda: all(map(gone, left)), "the old engines are gone")
    engines.stop()


def test_stale_files_of_a_crash_do_not_hinder(tmp_path: Path, supervisor: Supervisor) -> None:
    engines = Engines(tmp_path, {}, supervisor)
    write(engines.addresses)
    engines.stop()
    (tmp_path / "engines.json").write_text('{"DATABASE_URL": "postgresql://stale/stale"}')
    (tmp_path / "engines.lock").write_text(str(os.getpid()))
    (tmp_path / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    (tmp_path / "postgres" / "data.new").mkdir()
    (tmp_path / "redis" / "redis.pid").write_text(f"{os.getpid()}\n")
    assert running(tmp_path) == {}
    engines = Engines(tmp_path, {}, supervisor)
    assert read(engines.addresses) == ["kept", "kept"]
    engines.stop()


def test_a_failed_start_leaves_nothing_running(tmp_path: Path, supervisor: Supervisor) -> None:
    (tmp_path / "redis").write_text("in the way of its directory")
    with pytest.raises(FileExistsError):
        Engines(tmp_path, {}, supervisor)
    assert pids_under(tmp_path) == []
    assert running(tmp_path) == {}

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.child import Program
from project.supervisor import ChildFailed, Supervisor
from tests.project.processes import gone, kill, read_line, running, script, until

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
OWNER = """
import os, sys, time
from project.child import Program
from project.supervisor import Supervisor
supervisor = Supervisor()
for name in ("one", "two"):
    supervisor.start(Program(name, sys.argv[1:], os.environ))
time.sleep(600)
"""


@pytest.fixture
def echo() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(echo: io.StringIO) -> Iterator[Supervisor]:
    supervisor = Supervisor(echo)
    yield supervisor
    supervisor.stop()


def program(name: str, text: str, log: Path | None = None) -> Program:
    return Program(name, script(text), os.environ, log=log)


def test_each_line_is_printed_under_its_childs_name(
    supervisor: Supervisor, echo: io.StringIO
) -> None:
    supervisor.start(
        program("talker", "print('one\\ntwo', flush=True); import time; time.sleep(600)")
    )
    until(lambda: "two" in echo.getvalue(), "the second line is printed")
    assert echo.getvalue() == "      talker | one\n      talker | two\n"


def test_a_child_that_dies_is_started_again(supervisor: Supervisor, echo: io.StringIO) -> None:
    supervisor.start(program("sleeper", SLEEPER))
    until(lambda: echo.getvalue().count("\n") == 1, "it runs")
    first = supervisor.pid("sleeper")
    kill(int(echo.getvalue().split()[-1]))
    until(lambda: echo.getvalue().count("\n") == 3, "it runs again")
    assert "ended with code 137; starts again in 0.5 s" in echo.getvalue()
    assert supervisor.pid("sleeper") != first


def test_the_pause_before_the_next_start_grows(supervisor: Supervisor, echo: io.StringIO) -> None:
    supervisor.start(program("failing", "raise SystemExit(3)"))
    until(lambda: "again in 1 s" in echo.getvalue(), "it failed twice")
    assert "ended with code 3; starts again in 0.5 s" in echo.getvalue()


def test_a_stopped_child_is_gone_and_is_not_started_again(
    supervisor: Supervisor, echo: io.StringIO
) -> None:
    supervisor.start(program("sleeper", SLEEPER))
    until(lambda: "\n" in echo.getvalue(), "it runs")
    supervisor.stop("sleeper")
    assert gone(int(echo.getvalue().split()[-1]))
    assert "starts again" not in echo.getvalue()


def test_a_child_can_be_stopped_during_its_pause(supervisor: Supervisor, echo: io.StringIO) -> None:
    supervisor.start(program("failing", "raise SystemExit(3)"))
    until(lambda: "again in 1 s" in echo.getvalue(), "it pauses")
    supervisor.stop("failing")
    assert echo.getvalue().count("starts again") == 2


def test_two_children_of_one_name_are_refused(supervisor: Supervisor) -> None:
    supervisor.start(program("sleeper", SLEEPER))
    with pytest.raises(ValueError, match="'sleeper' runs already"):
        supervisor.start(program("sleeper", SLEEPER))


def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(program("failing", "raise SystemExit('no disk')", log=tmp_path / "log"))
    with pytest.raises(ChildFailed, match=r"(?s)failing ended before it was ready.*no disk"):
        supervisor.wait_ready("failing", lambda: False)


def test_a_child_that_never_gets_ready_is_reported(supervisor: Supervisor) -> None:
    supervisor.start(program("sleeper", SLEEPER))
    with pytest.raises(ChildFailed, match="sleeper is not ready in time"):
        supervisor.wait_ready("sleeper", lambda: False, seconds=0.1)


def test_a_killed_supervisor_leaves_no_children() -> None:
    with running(OWNER, *script(SLEEPER)) as owner:
        pids = [int(read_line(owner).split()[-1]) for _ in range(2)]
        kill(owner.pid)
        until(lambda: all(map(gone, pids)), "the children are gone")

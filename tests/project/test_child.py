import os
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from project.child import Child, Program
from tests.project.processes import gone, kill, read_line, running, script, until

SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEPER
PARENT = f"""
import subprocess, sys
subprocess.Popen([sys.executable, "-c", {SLEEPER!r}])
{SLEEPER}
"""
OWNER = """
import os, sys, time
from project.child import Child, Program
child = Child(Program("sleeper", sys.argv[1:], os.environ, grace=0.2))
print(child.pid, child.output.readline().decode().strip(), flush=True)
time.sleep(600)
"""


Start = Callable[..., Child]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts children and ends them after the test."""
    started = []

    def start(text: str, grace: float = 10) -> Child:
        started.append(Child(Program("sleeper", script(text), os.environ, grace=grace)))
        return started[-1]

    yield start
    for child in started:
        stop(child)
        if child.output:
            child.output.close()


def said(child: Child) -> int:
    assert child.output is not None
    return int(child.output.readline())


def stop(child: Child) -> None:
    child.ask_to_stop()
    child.wait_until_stopped()


def test_the_exit_code_is_that_of_the_command(start: Start) -> None:
    assert start("raise SystemExit(7)").wait() == 7


def test_a_command_that_a_signal_ended_has_the_exit_code_of_shells(start: Start) -> None:
    assert start("import os; os.kill(os.getpid(), 9)").wait() == 128 + signal.SIGKILL


def test_a_stopped_child_is_gone(start: Start) -> None:
    child = start(SLEEPER)
    pid = said(child)
    stop(child)
    assert gone(pid)


def test_a_child_deaf_to_the_stop_signal_is_killed_after_its_grace(start: Start) -> None:
    child = start(DEAF, grace=0.1)
    pid = said(child)
    stop(child)
    assert gone(pid)


def test_what_a_child_started_is_gone_with_it(start: Start) -> None:
    child = start(PARENT)
    pids = [said(child), said(child)]
    stop(child)
    until(lambda: all(map(gone, pids)), "both are gone")


def test_what_a_killed_child_left_behind_is_gone_too(start: Start) -> None:
    child = start(PARENT)
    pids = [said(child), said(child)]
    main = next(pid for pid in pids if psutil.Process(pid).children())
    kill(main)
    child.wait()
    until(lambda: all(map(gone, pids)), "both are gone")


def test_a_killed_owner_leaves_nothing() -> None:
    with running(OWNER, *script(SLEEPER)) as owner:
        pids = [int(pid) for pid in read_line(owner).split()]
        kill(owner.pid)
        until(lambda: all(map(gone, pids)), "guard and command are gone")


def test_a_killed_owner_leaves_nothing_of_what_its_child_started() -> None:
    # It prints nothing: a line into the pipe of the killed owner would end it anyway.
    silent = PARENT.replace(repr(SLEEPER), repr("import time; time.sleep(600)"))
    with running(OWNER, *script(silent)) as owner:
        guard = psutil.Process(int(read_line(owner).split()[0]))
        until(lambda: len(guard.children(recursive=True)) == 2, "both run")
        pids = [process.pid for process in guard.children(recursive=True)]
        kill(owner.pid)
        until(lambda: all(map(gone, pids)), "both are gone")


def test_a_killed_owner_leaves_nothing_even_if_its_fork_holds_the_pipe() -> None:
    # One write for each line: both print at the same moment.
    said = "os.write(1, b'%d\\n' % os.fork()); time.sleep(600)"
    forking = OWNER.replace("time.sleep(600)", said)
    with running(forking, *script(SLEEPER)) as owner:
        pids = [int(pid) for pid in read_line(owner).split()]
        fork = max(int(read_line(owner)), int(read_line(owner)))
        try:
            kill(owner.pid)
            until(lambda: all(map(gone, pids)), "guard and command are gone")
            assert not gone(fork)
        finally:
            kill(fork)


def test_a_killed_guard_takes_its_command_along(start: Start) -> None:
    child = start(SLEEPER)
    pid = said(child)
    kill(child.pid)
    child.wait()
    until(lambda: gone(pid), "the command is gone")


def test_the_folder_to_remove_goes_with_the_stop_and_not_with_a_crash(tmp_path: Path) -> None:
    for crash in (True, False):
        folder = tmp_path / str(crash)
        folder.mkdir()
        child = Child(Program("sleeper", script(SLEEPER), os.environ, remove=folder))
        with child.output or nullcontext():
            pid = said(child)
            if crash:
                kill(pid)
                child.wait()
            else:
                stop(child)
        assert folder.exists() == crash


def test_output_goes_to_the_log_when_one_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(Program("talker", script("print('hello')"), os.environ, log=log))
    child.wait()
    assert child.output is None
    assert log.read_text() == "hello\n"

"""Processes for tests that start, kill and count them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


def script(text: str) -> list[str]:
    """The command that runs `text` as a Python program."""
    return [sys.executable, "-c", text]


@contextmanager
def running(text: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A Python program as a process; its output can be read, and it is gone after the block."""
    process = subprocess.Popen(
        [*script(text), *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()  # without reading on: what it left behind may hold the other end


def read_line(process: "subprocess.Popen[str]") -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def gone(pid: int) -> bool:
    """Whether no such process is left, apart from one whose parent has not asked for its end."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Wait for `condition`; fail with `what` was awaited when it never holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.02)

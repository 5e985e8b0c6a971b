"""One child process under a guard: it, and all it started, ends when we end, however we end."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_GUARD = Path(__file__).resolve().with_name("guard.py")
_ROOT = _GUARD.parent.parent


@dataclass(frozen=True)
class Program:
    """What to run, with which environment, and how to ask it to stop."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path | None = None  # where its output goes; None: to us, a line at a time
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 15.0  # seconds between asking it to stop and killing it
    remove: Path | None = None  # a folder that goes when it is stopped
    keep_open: tuple[int, ...] = field(default=())  # descriptors its guard holds until it is gone


class Child:
    """A started `Program`. `pid` is its guard's, and also the process group of all it started."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._guard = _start(program)
        self._swept = False

    @property
    def pid(self) -> int:
        return self._guard.pid

    @property
    def output(self) -> IO[bytes] | None:
        """What it prints, for the caller to read and close; None when it goes to a log file."""
        return self._guard.stdout

    def wait(self) -> int:
        """Wait for its end, then kill whatever it left in its group; give its exit code."""
        code = self._guard.wait()
        self._sweep()
        self.ask_to_stop()  # nothing is left to stop: this gives the pipe back
        return code

    def ask_to_stop(self) -> None:
        """Start its stop and return at once: the guard asks, waits its grace, then kills."""
        assert self._guard.stdin is not None
        with suppress(BrokenPipeError):
            self._guard.stdin.close()

    def wait_until_stopped(self) -> None:
        """Wait until a stop that was asked for is done; kill a guard that hangs past its grace."""
        with suppress(subprocess.TimeoutExpired):
            self._guard.wait(self.program.grace + 5)
        self._sweep()
        self.wait()

    def _sweep(self) -> None:
        # Once, and at once: later the number may name a stranger's group.
        if self._swept:
            return
        self._swept = True
        # EPERM is how macOS says that only zombies are left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._guard.pid, signal.SIGKILL)


def _start(program: Program) -> "subprocess.Popen[bytes]":
    with _output(program.log) as output:
        return subprocess.Popen(
            _guarded(program),
            cwd=_ROOT,
            env=dict(program.environment),
            stdin=subprocess.PIPE,
            stdout=output or subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we stop the others in order
            pass_fds=program.keep_open,
        )


def _output(log: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    return log.open("ab") if log else nullcontext()


def _guarded(program: Program) -> list[str]:
    how = [f"--stop-signal={int(program.stop_signal)}", f"--grace={program.grace}"]
    if program.remove:
        how.append(f"--remove={program.remove}")
    return [sys.executable, "-I", "-S", str(_GUARD), *how, "--", *program.command]

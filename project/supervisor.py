"""Keeps named child processes running: starts, prints what they say, restarts, stops."""

import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from project.child import Child, Program

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_STEADY = 10.0  # a child that ran this long starts again at the first pause
_PROBE_EVERY = 0.05


class ChildFailed(Exception):
    """A child ended, or stayed unready, when it was needed."""


class Supervisor:
    """Runs programs until `stop`. One that ends is started again after a growing pause."""

    def __init__(self, echo: IO[str] | None = None) -> None:
        self._echo = echo or sys.stdout
        self._attended: dict[str, _Attended] = {}

    def start(self, program: Program) -> None:
        """Start `program` and keep it running; its name must be new."""
        if program.name in self._attended:
            raise ValueError(f"a child named {program.name!r} runs already; choose another name")
        self._attended[program.name] = _Attended(program, self._say)

    def wait_ready(self, name: str, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `ready()` is true; raise ChildFailed if the child ends first or time is up."""
        attended = self._attended[name]
        deadline = time.monotonic() + seconds
        while not ready():
            if attended.failed.wait(_PROBE_EVERY):
                raise ChildFailed(f"{name} ended before it was ready.{attended.last_words()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"{name} is not ready in time.{attended.last_words()}")

    def pid(self, name: str) -> int:
        """The process group of the child called `name`, as it runs now."""
        return self._attended[name].child.pid

    def stop(self, *names: str) -> None:
        """Stop the named children, or all, side by side; return when they are gone."""
        stopping = [self._attended.pop(name) for name in names or list(self._attended)]
        for attended in stopping:
            attended.ask_to_stop()
        for attended in stopping:
            attended.wait_until_stopped()

    def _say(self, name: str, line: str) -> None:
        self._echo.write(f"{name:>12} | {line}\n")
        self._echo.flush()


class _Attended:
    """One program, its present child, and the thread that waits for its end."""

    def __init__(self, program: Program, say: Callable[[str, str], None]) -> None:
        self.program = program
        self.failed = threading.Event()  # it has ended by itself at least once
        self._say = say
        self._stopping = threading.Event()
        self._changing = threading.Lock()  # so that a stop never misses a child just started
        self._last_lines: list[str] = []
        self.child = self._spawn()
        self._attendant = threading.Thread(target=self._attend, name=program.name, daemon=True)
        self._attendant.start()

    def ask_to_stop(self) -> None:
        with self._changing:
            self._stopping.set()
            self.child.ask_to_stop()

    def wait_until_stopped(self) -> None:
        self.child.wait_until_stopped()
        self._attendant.join()

    def last_words(self) -> str:
        if self.program.log:
            lines = self.program.log.read_text(errors="replace").splitlines()[-10:]
            return "\n".join([f" The end of {self.program.log}:", *lines])
        return "\n".join(["", *self._last_lines])

    def _attend(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            code = self.child.wait()
            if self._stopping.is_set():
                return
            self.failed.set()
            pause = _FIRST_PAUSE if time.monotonic() - started > _STEADY else pause
            self._say(self.program.name, f"ended with code {code}; starts again in {pause:g} s")
            if self._stopping.wait(pause) or not self._respawn():
                return
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _respawn(self) -> bool:
        with self._changing:
            if self._stopping.is_set():
                return False
            self.child = self._spawn()
            return True

    def _spawn(self) -> Child:
        child = Child(self.program)
        if child.output:
            threading.Thread(target=self._repeat, args=(child.output,), daemon=True).start()
        return child

    def _repeat(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                text = line.decode(errors="replace").rstrip()
                self._last_lines = [*self._last_lines[-9:], text]
                self._say(self.program.name, text)

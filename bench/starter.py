"""What starts runs: a process that is told on standard input how many, and says when it began.

It ends with its standard input, so it never outlives the benchmark.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from bench.finish import monotonic

_ROOT = Path(__file__).resolve().parent.parent


def serve(start: Callable[[bool], object]) -> None:
    """Start runs as told until standard input ends. `start` is given whether step 4 refuses."""
    print("ready", flush=True)
    for line in sys.stdin:
        runs, failing = line.split()
        began = monotonic()
        for _ in range(int(runs)):
            start(failing == "failing")
        print(began, flush=True)


class StarterFailed(Exception):
    """A starter ended, or said something that makes no sense."""


class Starter:
    """A process that runs `command` and serves. A context manager that ends it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        if (said := self._listen()) != "ready":
            raise StarterFailed(f"expected 'ready', got {said!r}; see {self._log}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _pipe(self._process.stdin).close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def tell(self, runs: int, *, failing: bool) -> None:
        """Have so many runs started, and do not wait for it."""
        pipe = _pipe(self._process.stdin)
        pipe.write(f"{runs} {'failing' if failing else 'passing'}\n")
        pipe.flush()

    def began(self) -> float:
        """Wait until all are started that were told last; give when the first one began."""
        return float(self._listen())

    def _listen(self) -> str:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise StarterFailed(f"a starter ended by itself; see {self._log}")
        return line.strip()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "both are pipes"
    return pipe

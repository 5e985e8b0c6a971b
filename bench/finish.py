"""The finish line: a named pipe into which every system's last step writes one byte.

It is the same for all, costs some microseconds, and needs no polling while a run is measured.
"""

from __future__ import annotations

import os
import select
import time
from functools import cache
from pathlib import Path

#: The variable that tells workers where the pipe is.
VARIABLE = "BENCH_FINISH"


class NotFinished(Exception):
    """Some runs did not reach the finish line in time."""


class FinishLine:
    """The reader's end of the pipe at `path`, which is made anew."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        self.path = path
        # Also open for writing, so that it never reads as ended while workers come and go.
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def wait(self, runs: int, seconds: float = 60.0) -> None:
        """Wait until so many runs have crossed. `seconds`: the longest pause between two.

        Raises NotFinished.
        """
        left = runs
        while left:
            if not select.select([self._pipe], [], [], seconds)[0]:
                raise NotFinished(
                    f"{left} of {runs} runs did not finish; nothing happened for {seconds:g} s."
                )
            left -= len(os.read(self._pipe, left))

    def close(self) -> None:
        """Remove the pipe."""
        os.close(self._pipe)
        self.path.unlink(missing_ok=True)


def cross() -> None:
    """Called by the last step of a run."""
    os.write(_pipe(), b".")


@cache
def _pipe() -> int:
    return os.open(os.environ[VARIABLE], os.O_WRONLY)


def monotonic() -> float:
    """The clock of all measured times: one for every process of the machine."""
    return time.monotonic()

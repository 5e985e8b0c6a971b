"""One Celery worker as a process of a test's own, of which the log can be read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.project.processes import ROOT
from tests.stories.waiting import until


class WorkerProcess:
    """A running worker and what it has logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> str:
        """Everything it has logged so far."""
        return self._log.read_text()

    def until_logged(self, text: str, seconds: float = 60) -> None:
        """Wait until the log contains the text; fails with the log."""
        until(lambda: text in self.log(), seconds, self.log)

    def lives(self) -> bool:
        """Whether its main process still runs."""
        return self.process.poll() is None


@contextmanager
def worker_process(
    environment: Mapping[str, str], log: Path, *options: str, app: str = "project.celery"
) -> Iterator[WorkerProcess]:
    """A worker with these further options; it and its children are gone after the block."""
    command = [sys.executable, "-m", "celery", f"--app={app}", "--quiet", "worker", *options]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdout=output, stderr=output
        )
    try:
        yield WorkerProcess(process, log)
    finally:
        children = (
            psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        )
        process.kill()
        process.wait()
        for child in children:
            if child.is_running():
                child.kill()

"""One contender at work: its processes are started, measured, and ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg

from bench import finish
from bench.contenders import Command, Contender
from bench.finish import FinishLine
from bench.processes import Costs
from bench.starter import Starter
from project.child import Child, Program
from project.queues import DEFAULT_QUEUE

_WARM_UP = 40


@dataclass(frozen=True)
class Bulk:
    """Many runs at once. `cpu`: seconds by group of processes."""

    runs: int
    seconds: float
    cpu: dict[str, float]


class Session:
    """A contender's processes. A context manager: inside it they are up and warm.

    `environment` is theirs, `engines` the root processes of the engines by name, and `directory`
    takes their logs.
    """

    def __init__(
        self,
        contender: Contender,
        environment: Mapping[str, str],
        engines: Mapping[str, int],
        directory: Path,
    ) -> None:
        self.contender = contender
        self.questions = 0  # how often the benchmark itself asked the database
        self._engines = engines
        self._log = directory / f"{contender.name}.log"
        self._pipe = directory / "finish"
        self._environment = {**environment, finish.VARIABLE: str(self._pipe)}
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with self._undo:
            self._database = self._undo.enter_context(
                psycopg.connect(self._environment["DATABASE_URL"], autocommit=True)
            )
            self._line = FinishLine(self._pipe)
            self._undo.callback(self._line.close)
            roots = self._start_all()
            for failing in (False, True):
                self._finish(_WARM_UP, failing=failing)
            self._costs = Costs(roots() | {name: [pid] for name, pid in self._engines.items()})
            self._undo = self._undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    def bulk(self, runs: int, *, failing: bool = False) -> Bulk:
        """From the first start to the last recorded finish; starting is part of it."""
        before = self._costs.cpu()
        seconds = self._finish(runs, failing=failing)
        after = self._costs.cpu()
        return Bulk(runs, seconds, {name: after[name] - before[name] for name in after})

    def latencies(self, runs: int) -> list[float]:
        """Seconds from start to recorded finish of so many runs, one at a time."""
        return [self._finish(1, failing=False) for _ in range(runs)]

    def memory(self) -> int:
        """Bytes that the workers hold, with Celery's main process."""
        return self._costs.memory("workers")

    def _finish(self, runs: int, *, failing: bool) -> float:
        """Start runs and wait until the last outcome is recorded; give the seconds it took."""
        share, rest = divmod(runs, len(self._starters))
        told = [(s, share + (i < rest)) for i, s in enumerate(self._starters)]
        told = [(starter, count) for starter, count in told if count]
        for starter, count in told:
            starter.tell(count, failing=failing)
        self._line.wait(runs)
        while self._unfinished():
            pass
        ended = finish.monotonic()
        return ended - min(starter.began() for starter, _ in told)

    def _unfinished(self) -> bool:
        if self.contender.unfinished is None:
            return False
        self.questions += 1
        row = self._database.execute(self.contender.unfinished).fetchone()
        return row is not None and row[0] > 0

    def _start_all(self) -> Callable[[], dict[str, list[int]]]:
        """Start everything; give what tells the roots of its processes once they are up."""
        celery = self._start_celery(self.contender.celery) if self.contender.celery else None
        workers = [self._start(command) for command in self.contender.workers]
        starter = self._start(self.contender.starter) if self.contender.starter else None
        self._starters = [starter] if starter else workers

        def roots() -> dict[str, list[int]]:
            guarded = [p.pid for p in psutil.Process(celery.pid).children()] if celery else []
            working = {"workers": guarded + [worker.pid for worker in workers]}
            return working | ({"starter": [starter.pid]} if starter else {})

        return roots

    def _start_celery(self, application: str) -> Child:
        child = Child(Program("worker", _worker(application), self._environment, log=self._log))
        self._undo.callback(child.wait_until_stopped)
        self._undo.callback(child.ask_to_stop)
        return child

    def _start(self, command: Command) -> Starter:
        return self._undo.enter_context(Starter(command, self._environment, self._log))


def _worker(application: str) -> list[str]:
    """The same for both Celery applications: the project's own command, with less logging."""
    return [
        *(sys.executable, "-m", "celery", f"--app={application}", "--quiet", "worker"),
        *(f"--queues={DEFAULT_QUEUE}", "--concurrency=2", "--loglevel=WARNING"),
        *("--without-gossip", "--without-mingle"),
    ]

"""The systems that are measured: what each runs, how its runs start, and what it leaves out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

Command = Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One system in its best documented set-up, with two processes that work."""

    name: str
    title: str
    lacks: str  # what it does not do, which the others' figures pay for
    prepare: Command | None = None  # makes its tables
    celery: str | None = None  # the Celery application that its worker runs
    workers: tuple[Command, ...] = ()  # workers of other kinds
    starter: Command | None = None  # None: its workers start their own runs
    unfinished: str | None = None  # SQL: how many runs have no recorded outcome yet
    history: bool = False  # measured with finished runs stored

    @property
    def records(self) -> bool:
        """Whether a run's outcome is stored, so that a run is finished only when that is done."""
        return self.unfinished is not None


def _module(name: str, *arguments: str) -> Command:
    return (sys.executable, "-m", name, *arguments)


_OURS_UNFINISHED = """
SELECT count(*) FROM sagas_run WHERE NOT status IN ('compensated', 'resolved', 'succeeded')"""
_DBOS_UNFINISHED = """
SELECT count(*) FROM dbos.workflow_status WHERE status IN ('PENDING', 'ENQUEUED')"""


def _ours(name: str, title: str, *, history: bool) -> Contender:
    return Contender(
        name=name,
        title=title,
        lacks="nothing of the design: claims, leases, history, compensation, recovery",
        prepare=(sys.executable, "manage.py", "migrate", "--verbosity=0"),
        celery="project.celery",
        starter=_module("bench.ours.starter"),
        unfinished=_OURS_UNFINISHED,
        history=history,
    )


def _dbos(how: str, title: str, lacks: str, starter: Command | None) -> Contender:
    return Contender(
        name=f"dbos-{how}",
        title=title,
        lacks=lacks,
        prepare=_module("bench.transact.migrate"),
        workers=tuple(_module("bench.transact.worker", name, how) for name in ("one", "two")),
        starter=starter,
        unfinished=_DBOS_UNFINISHED,
    )


OURS = _ours("ours", "this engine", history=False)
STORED = _ours("ours-stored", "this engine, finished runs stored", history=True)
CHAIN = Contender(
    name="chain",
    title="bare Celery chain",
    lacks="keeps no record, loses and doubles work, and its undoing is a message that can be lost",
    celery="bench.chain.app",
    starter=_module("bench.chain.starter"),
)
DIRECT = _dbos(
    "direct",
    "DBOS, direct",
    "its workers start the runs themselves: nothing is handed from one process to another",
    None,
)
QUEUE = _dbos(
    "queue",
    "DBOS, queue",
    "workers poll for what a client has put into a queue",
    _module("bench.transact.starter"),
)

#: In the order in which each round measures them.
CONTENDERS = (OURS, CHAIN, DIRECT, STORED, QUEUE)

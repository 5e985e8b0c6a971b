"""When each message of the engine was sent and when a worker took it: a line each, in one file."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import signals

from sagas.identity import identity

_OURS = frozenset({"sagas.step", "sagas.compensate"})


def record(path: str) -> None:
    """Have this process, and those that it forks, write down its messages."""
    descriptor = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def write(*words: object) -> None:
        os.write(descriptor, (" ".join(map(str, [f"{time.time():.3f}", *words])) + "\n").encode())

    def sent(sender: str, headers: dict[str, Any], body: Any, **_: Any) -> None:
        if sender in _OURS:
            write("sent", headers["id"])

    def taken(task_id: str, task: Any, args: Any, **_: Any) -> None:
        if task.name in _OURS:
            write("taken", task_id, args[0], args[2], identity())

    signals.after_task_publish.connect(sent, weak=False)
    signals.task_prerun.connect(taken, weak=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that a worker took. `sent`: when it was sent, as far as is known."""

    at: float
    sent: float | None
    step: str
    worker: str


@dataclass(slots=True)
class Messages:
    """Those of a campaign, by run."""

    taken: dict[str, list[Taken]] = field(default_factory=dict)

    def that_led_to(self, run: str, step: str, worker: str, at: float) -> Taken | None:
        """The message with which a worker claimed a step at that time."""
        before = [m for m in self.taken.get(run, ()) if m.worker == worker and m.at <= at]
        return max(before, key=lambda m: (m.step == step, m.at), default=None)

    def waiting(self, run: str, since: float, at: float) -> float | None:
        """When the first message of a run was sent that still waited at that time.

        Args:
            since: one that was sent before does not count.
        """
        sent = [m.sent for m in self.taken.get(run, ()) if m.sent is not None and m.at >= at]
        return min((moment for moment in sent if since < moment < at), default=None)


def read(path: Path) -> Messages:
    """What was written down."""
    sent: dict[str, float] = {}
    taken: dict[str, list[Taken]] = defaultdict(list)
    for line in path.read_text().splitlines() if path.exists() else ():
        match line.split():
            case [at, "sent", message]:
                sent[message] = float(at)
            case [at, "taken", message, run, step, worker]:
                taken[run].append(Taken(float(at), sent.get(message), step, worker))
    return Messages(dict(taken))

"""A saga that behaves well, and what comes between its steps in the same process.

Every step is a message of its own, so that something else can be done between any two of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from project.chaos.flows.neighbours import ATOMIC, DEEDS, settings_locally
from sagas.api import Run, Saga, Step, step
from sagas.models import Signal

_LATELY: list[str] = []  # what was done in this process since the last step that behaves well
_ATOMIC = {**DEEDS, "settings_locally": settings_locally}


class Folder(BaseModel):
    """Where the steps write what they do."""

    folder: str


def note(run: Run[Folder], name: str) -> None:
    """Append what is done, and after what: an effect that happens as often as it is called."""
    after = _LATELY.pop() if _LATELY else "nothing"
    _LATELY.clear()
    line = f"{name} {run.id} {os.getpid()} {after}\n".encode()
    file = os.open(Path(run.payload.folder) / "notes", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(file, line)
    os.close(file)


@step(harmless=True)
def prepare(run: Run[Folder]) -> str:
    note(run, "prepare")
    return "prepared"


@step(atomic=True, harmless=True)
def book(run: Run[Folder]) -> int:
    note(run, "book")
    return Signal.objects.create(name="booked", correlation=str(run.id)).pk


@step(idempotent=False, harmless=True)
def count(run: Run[Folder]) -> None:
    note(run, "count")


@step(harmless=True)
def check(run: Run[Folder]) -> int:
    note(run, "check")
    return Signal.objects.filter(correlation=str(run.id)).count()


neighboured = Saga("neighboured", payload=Folder, steps=[prepare, book, count, check], hop=True)


class Deeds(BaseModel):
    """What the neighbour's steps do, one after the other."""

    deeds: list[str]


def does(name: str, deeds: dict[str, Callable[[], None]], *, atomic: bool) -> Step:
    """A step that does the first of its run's deeds that is not done yet."""
    number = int(name[-1])

    @step(name=name, atomic=atomic, harmless=True)
    def action(run: Run[Deeds]) -> None:
        deed = run.payload.deeds[number]
        do(deed, deeds[deed], "atomic" if atomic else "step")

    return action


def do(name: str, deed: Callable[[], None], by: str) -> None:
    """Do it, and say so to the step that comes next."""
    _LATELY.append(f"{by}:{name}")
    deed()


neighbour_between = Saga(
    "neighbour-between",
    payload=Deeds,
    steps=[
        does("deed0", DEEDS, atomic=False),
        does("deed1", _ATOMIC, atomic=True),
        does("deed2", DEEDS, atomic=False),
        does("deed3", _ATOMIC, atomic=True),
    ],
    hop=True,
)

OF_STEPS, OF_ATOMIC = list(DEEDS), list(ATOMIC)
# A wrapper that stays in a process is there by right, as instrumentation does it.
OF_TASKS = [name for name in DEEDS if name != "wrappers"]

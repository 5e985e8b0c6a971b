"""Sagas whose steps write every call into the ledger that the payload names."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel

from integrations import inventory
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import Refused, Retry, Run, Saga, Step, parallel, step, wait_for
from sagas.testing.ledger import Ledger
from tests.stories.work.neighbours import neighbour_between, neighboured

__all__ = ["neighbour_between", "neighboured"]


class Job(BaseModel):
    """``gate`` is a file that blocking steps wait for; ``refuse`` names a step that refuses."""

    folder: str
    refuse: str = ""


def recorded(run: Run[Job], name: str, direction: str = "forward") -> None:
    """Write this call into the ledger."""
    Ledger(Path(run.payload.folder) / "ledger").record(name, direction, run.key, run.attempt)


def plain(name: str, queue: str | None = None) -> Step:
    """A step that only writes the ledger."""

    @step(name=name, queue=queue)
    def action(run: Run[Job]) -> object:
        recorded(run, name)
        return Refused("told to") if run.payload.refuse == name else None

    @action.compensate
    def undo(run: Run[Job]) -> None:
        recorded(run, name, "backward")

    return action


@step(timeout=30)
def blocking(run: Run[Job]) -> None:
    recorded(run, "blocking")
    while not (Path(run.payload.folder) / "gate").exists():
        time.sleep(0.02)


@blocking.compensate
def unblock(run: Run[Job]) -> None:
    recorded(run, "blocking", "backward")


@step(timeout=0.5, retry=Retry(attempts=3, base=0.1, cap=0.2))
def stubborn(run: Run[Job]) -> None:
    """Swallows its soft time limit, the first time."""
    recorded(run, "stubborn")
    while run.attempt == 1:
        try:
            time.sleep(60)
        except Exception:  # noqa: S112
            continue


@stubborn.compensate(tolerates_nothing=True)
def calm(run: Run[Job]) -> None:
    recorded(run, "stubborn", "backward")


class Nothing(BaseModel):
    """What a reservation needs to know."""


@step(partner="inventory", idempotent=False, timeout=5)
def reserve(run: Run[Nothing]) -> str:
    """What may have happened once is not done again: an unknown outcome needs a person."""
    held = inventory.connector().reserve("tea", 1, run.business_key, key=run.key, timeout=2)
    return held.id


@reserve.compensate
def release(run: Run[Nothing]) -> None:
    inventory.connector().release(run.result, key=run.key, timeout=2)


reserving = Saga("reserving", payload=Nothing, errors=PARTNER_ERRORS, steps=[reserve])
hopping = Saga(
    "hopping", payload=Job, steps=[plain("a"), plain("b", "payments"), plain("c"), plain("d")]
)
forked = Saga(
    "forked",
    payload=Job,
    steps=[plain("a"), parallel([plain("b1"), plain("b2", "payments")], plain("c")), plain("d")],
)
gated = Saga("gated", payload=Job, steps=[plain("a"), blocking, plain("z")])
hanging = Saga("hanging", payload=Job, steps=[plain("a"), stubborn, plain("z")])
answered = Saga(
    "answered",
    payload=Job,
    steps=[plain("a"), wait_for("answer", timeout=timedelta(hours=1)), plain("z")],
)

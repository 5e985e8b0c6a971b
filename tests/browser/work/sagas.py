"""A delivery, which stops where its payload is wrong, a booking, which waits for a payment, a tour
of two versions, a parcel, whose courier is never asked, and a voyage of 122 steps.

An address "nowhere..." is refused after the pivot until it is in the file that ATLAS names.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field

from integrations.errors import NotAsked
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import (
    Refused,
    Retry,
    RetryLater,
    Run,
    Saga,
    Step,
    Unknown,
    parallel,
    pivot,
    step,
    wait_for,
)


class Delivery(BaseModel):
    """`address` "maybe" leaves the first step in doubt."""

    address: str = Field(description="where the parcel goes")
    pieces: int = Field(default=1, ge=1, le=99)
    solvent: bool = True


@step(retry=Retry(attempts=2, base=0.1, cap=0.2))
def reserve(run: Run[Delivery]) -> dict[str, int] | Unknown:
    if run.payload.address == "maybe":
        return Unknown("the warehouse did not answer")
    return {"pieces": run.payload.pieces}


@reserve.compensate
def release(run: Run[Delivery]) -> None:
    """Nothing is held anywhere."""


@step
def charge(run: Run[Delivery]) -> str | Refused:
    return "paid" if run.payload.solvent else Refused("the card was declined")


@step
def label(run: Run[Delivery]) -> str | Refused:
    address = run.payload.address
    if address.startswith("nowhere") and address not in _atlas():
        return Refused("the address does not exist")
    return f"to {run.payload.address}"


def _atlas() -> list[str]:
    """Addresses that have come into being since."""
    path = Path(os.environ["ATLAS"])
    return path.read_text().splitlines() if path.exists() else []


@step(harmless=True)
def weigh(run: Run[Delivery]) -> int:
    return 100 * run.payload.pieces


@step(harmless=True)
def tell(run: Run[Delivery]) -> None:
    """Nobody is told."""


class Booking(BaseModel):
    seat: str


@step
def hold(run: Run[Booking]) -> str:
    return run.payload.seat


@hold.compensate
def let_go(run: Run[Booking]) -> None:
    """Nothing is held anywhere."""


def on_board(run: Run[Booking]) -> bool:
    """Raises for a seat without a letter: the run then needs a person."""
    return run.payload.seat[1] in "ABCDEF"


@step(harmless=True, when=on_board)
def issue(run: Run[Booking]) -> str:
    return f"ticket for {run.payload.seat}"


@step(partner="courier", harmless=True)
def fetch(run: Run[Delivery]) -> None:
    raise NotAsked("courier", "fetch", "its circuit breaker is open", retry_after=3600)


class Voyage(BaseModel):
    """The leg whose number is `stop` answers `how`: "refused", "doubt" or "later"."""

    stop: int = 0
    how: str = "later"


def _leg(number: int) -> Step:
    @step(name=f"leg_{number:03}", idempotent=False)
    def sail(run: Run[Voyage]) -> int | Refused | Unknown | RetryLater:
        if number != run.payload.stop:
            return number
        reason = "a storm"
        match run.payload.how:
            case "refused":
                return Refused(reason)
            case "doubt":
                return Unknown(reason)
        return RetryLater(reason, after=3600)

    @sail.compensate
    def sail_back(run: Run[Voyage]) -> None:
        """Sail back to where the leg began."""

    return sail


@step
def arrive(run: Run[Voyage]) -> None:
    """There is no way back from there."""


@step(harmless=True)
def unload(run: Run[Voyage]) -> None:
    """There is no cargo."""


_guide = wait_for("guide-found", timeout=timedelta(days=3))
delivery = Saga(
    "delivery",
    payload=Delivery,
    steps=[reserve, pivot(charge), parallel(label, weigh), tell],
    title=lambda asked: f"a parcel to {asked.address}, {'paid' if asked.solvent else 'not paid'}",
)
booking = Saga(
    "booking",
    payload=Booking,
    steps=[hold, wait_for("paid", timeout=timedelta(days=3)), issue],
)
tour, longer_tour = (
    Saga("tour", payload=Booking, version=version, steps=[hold, _guide, *more])
    for version, more in ((1, []), (2, [issue]))
)
voyage = Saga(
    "voyage",
    payload=Voyage,
    steps=[*(_leg(number) for number in range(1, 121)), pivot(arrive), unload],
)
parcel = Saga("parcel", payload=Delivery, errors=PARTNER_ERRORS, steps=[fetch])

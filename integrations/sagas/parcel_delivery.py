"""Parcel delivery: follow a parcel that the carrier has fetched until it arrives, or is overdue.

The carrier's webhooks start it and tell it; until then it waits, and holds no worker.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from integrations import notifications
from integrations.sagas.order_fulfilment import A_DAY
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import NotApplied, Redacted, Retry, Run, Saga, step, wait_for

DELIVERED = "parcel.delivered"
"""The signal that the parcel has arrived; its payload says when."""


class Parcel(BaseModel):
    """A parcel that is under way."""

    model_config = ConfigDict(extra="forbid")

    order_id: UUID
    tracking_number: Annotated[str, Field(pattern=r"^[!-~]{1,100}$")]
    email: Annotated[str, Redacted, Field(max_length=254)]


def key_of(tracking_number: str) -> str:
    """The business key of the run that follows a parcel, and the correlation of its signals."""
    return f"parcel:{tracking_number}"


def parcel_title(parcel: Parcel) -> str:
    """Which parcel, as its carrier says it."""
    return f"parcel {parcel.tracking_number}"


_arrival = wait_for(DELIVERED, timeout=timedelta(days=14), on_timeout="continue", name="arrival")


def _arrived(run: Run[Parcel]) -> bool:
    return run.results["arrival"] is not None


def _overdue(run: Run[Parcel]) -> bool:
    return run.results["arrival"] is None


@step(
    partner="notifications",
    retry=Retry(attempts=None, cap=300, total=A_DAY),
    timeout=10,
    harmless=True,
    optional=True,
    when=_arrived,
)
def confirm_arrival(run: Run[Parcel]) -> notifications.Sent:
    """Tell the customer that the parcel has arrived: whoever has not got it can say so."""
    return _mail(
        run,
        "Your parcel has arrived",
        "The carrier says that it has handed over your parcel "
        f"{run.payload.tracking_number}.\nIf you have not got it, please answer this mail.\n",
    )


@step(
    partner="notifications",
    retry=Retry(attempts=None, cap=300, total=A_DAY),
    timeout=10,
    harmless=True,
    optional=True,
    when=_overdue,
)
def admit_delay(run: Run[Parcel]) -> notifications.Sent:
    """Tell the customer that the parcel is overdue, and that we know."""
    return _mail(
        run,
        "Your parcel is late",
        f"Your parcel {run.payload.tracking_number} should have arrived by now, and the carrier "
        "does not tell us that it has.\nWe are asking them. You need not do anything.\n",
    )


@confirm_arrival.verify
@admit_delay.verify
def find_mail(run: Run[Parcel]) -> notifications.Sent | NotApplied:
    """Ask the mail partner whether it took the mail: a mail server would take it twice."""
    return notifications.connector().find(run.key, timeout=run.remaining) or NotApplied()


def _mail(run: Run[Parcel], subject: str, text: str) -> notifications.Sent:
    return notifications.connector().send(
        run.payload.email, subject, text, run.business_key, key=run.key, timeout=run.remaining
    )


parcel_delivery = Saga(
    "parcel-delivery",
    payload=Parcel,
    errors=PARTNER_ERRORS,
    steps=[_arrival, confirm_arrival, admit_delay],
    title=parcel_title,
)

"""Refreshes: ask a partner how an object of its is, and keep the answer. One saga for each kind.

Started by events that tell too little: thin ones, and changes of one moment whose order is unclear.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from integrations import hubspot, payments
from integrations.sagas.outcomes import PARTNER_ERRORS
from integrations.webhooks.known import settle
from sagas.api import Retry, Run, Saga, step

A_DAY = 24 * 3600.0
STAGE = "lifecyclestage"
"""The property of HubSpot's contacts that says how far they have come."""
_CONTACT = "contact "

State = dict[str, Any]


class Doubt(BaseModel):
    """An object, and the event that told of it without telling how it is."""

    model_config = ConfigDict(extra="forbid")

    subject: Annotated[str, Field(min_length=1, max_length=200)]
    event_id: Annotated[str, Field(min_length=1, max_length=200)]


def key_of(event_id: str) -> str:
    """The business key of the run that asks because of an event."""
    return f"refresh:{event_id}"[:200]


def contact_subject(contact_id: int) -> str:
    """What a contact of HubSpot's is called among the partners' objects."""
    return f"{_CONTACT}{contact_id}"


def _refresh(name: str, partner: str, read: Callable[[str, float], State | None]) -> Saga:
    """A saga that asks a partner for an object, whose name is also that of the events' source."""

    @step(
        partner=partner, harmless=True, retry=Retry(attempts=None, cap=300, total=A_DAY), timeout=10
    )
    def ask(run: Run[Doubt]) -> State | None:
        """Ask for the object. Since the event has come, the answer includes what it told of."""
        return read(run.payload.subject, run.remaining)

    @step(atomic=True, harmless=True, timeout=10, when=_is_there)
    def keep_answer(run: Run[Doubt]) -> bool:
        """Keep how it is, unless another event has told more since then."""
        asked = run.payload
        return settle(partner, asked.subject, asked.event_id, run.results["ask"])

    return Saga(name, payload=Doubt, errors=PARTNER_ERRORS, steps=[ask, keep_answer])


def _is_there(run: Run[Doubt]) -> bool:
    return run.results["ask"] is not None


def _subscription(subject: str, timeout: float) -> State | None:
    found = payments.connector().read_subscription(subject, timeout=timeout)
    return None if found is None else found.model_dump(exclude={"id"})


def _contact(subject: str, timeout: float) -> State | None:
    contact_id = subject.removeprefix(_CONTACT)
    return hubspot.connector().read_contact(contact_id, [STAGE], timeout=timeout)


subscription_refresh = _refresh("subscription-refresh", "payments", _subscription)
contact_refresh = _refresh("contact-refresh", "hubspot", _contact)

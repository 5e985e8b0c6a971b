"""Sagas of one call each, to the partner that is made to suffer and to one that is well."""

from __future__ import annotations

from pydantic import BaseModel

from integrations import inventory, shipping
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import Run, Saga, step

#: Seconds that a call may take.
PATIENCE = 1.0


class Nothing(BaseModel):
    """What these sagas need to know."""


@step(partner="inventory", harmless=True, timeout=10)
def ask_inventory(run: Run[Nothing]) -> None:
    """Have something reserved."""
    inventory.connector().reserve("tea", 1, run.business_key, key=run.key, timeout=PATIENCE)


@step(partner="shipping", harmless=True, timeout=10)
def ask_shipping(run: Run[Nothing]) -> None:
    """Have a courier come."""
    shipping.connector().book_courier("Here", run.business_key, key=run.key, timeout=PATIENCE)


suffering = Saga(
    "bench-ask-inventory", payload=Nothing, errors=PARTNER_ERRORS, steps=[ask_inventory]
)
well = Saga("bench-ask-shipping", payload=Nothing, errors=PARTNER_ERRORS, steps=[ask_shipping])

"""What Salesforce does for us, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from integrations.schemas import Answer, Identifier, Reference


@dataclass(frozen=True, slots=True)
class Deal:
    """What an opportunity is about; `stage` is one of the organisation's own stages."""

    name: str
    stage: str
    closes: date
    amount: Decimal | None = None


class Opportunity(Answer):
    """An opportunity, by our reference."""

    id: Identifier
    reference: Reference


class Salesforce(Protocol):
    """Salesforce's opportunities. A call takes at most `timeout` seconds.

    Our reference is the external id: the same reference makes one opportunity, and a repeat sets
    its fields again.

    Every method raises a PartnerError: refused, unavailable, or, if it changes something, unknown.
    """

    def create_opportunity(self, deal: Deal, reference: str, *, timeout: float) -> Opportunity:
        """Make the opportunity, or bring the one of this reference to what `deal` says."""

    def find_opportunity(self, reference: str, *, timeout: float) -> Opportunity | None:
        """The opportunity that was made for `reference` and is not deleted."""

    def delete_opportunity(self, opportunity_id: str, *, timeout: float) -> None:
        """Move an opportunity to the recycle bin. Nothing to delete is a success."""

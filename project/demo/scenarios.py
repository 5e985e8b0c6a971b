"""The demo's runs: what goes wrong with each, and what the partners' ledger must show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from integrations.effects import Effect, Problem
from integrations.sandbox.ledger import Arrival, Ledger

ACCEPTED = "pm_card_visa"
DECLINED = "pm_card_chargeDeclined"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the partners' ledger says about one run."""

    arrivals: Sequence[Arrival]
    effects: Sequence[Effect]
    doubles: Sequence[Problem]

    @classmethod
    def of(cls, ledger: Ledger, reference: str) -> Evidence:
        arrivals = [a for a in ledger.arrivals() if a.reference == reference]
        doubles = [p for p in ledger.audit() if p.second.reference == reference]
        return cls(arrivals, ledger.effects(reference), doubles)

    def made(self, **counts: int) -> bool:
        """Whether exactly these effects happened, so often each, and none was doubled."""
        return Counter(e.kind for e in self.effects) == Counter(counts) and not self.doubles

    def charged_once(self) -> bool:
        """Whether money was taken once, and none given back."""
        kinds = [effect.kind for effect in self.effects]
        return (kinds.count("captured"), kinds.count("refunded")) == (1, 0)

    def asked(self, operation: str, fault: str = "") -> int:
        """How often a partner was asked for something; only what `fault` struck, if given."""
        asked = [a for a in self.arrivals if a.operation == operation]
        return sum(a.fault == fault for a in asked) if fault else len(asked)


Claim = tuple[str, Callable[[Evidence], bool]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run: of which saga, which requests go wrong, how it ends, and the proof.

    `card`: how an order is paid. `budget`: what who asks for an offer has to spend.
    """

    title: str
    ends: str
    claims: Sequence[Claim]
    saga: str = "order-fulfilment"
    card: str = ACCEPTED
    budget: str = "20000"
    faults: Sequence[Mapping[str, Any]] = field(default=())


FULFILLED = {
    "reserved": 1,
    "authorized": 1,
    "captured": 1,
    "courier_booked": 1,
    "label_printed": 1,
    "sent": 1,
}

REGISTERED = {
    "account_created": 1,
    "customer_created": 1,
    "contact_created": 1,
    "account_enabled": 1,
    "sent": 1,
    "event_recorded": 1,
    "posted": 1,
}

SCENARIOS = (
    Scenario(
        "An order that succeeds",
        ends="succeeded",
        claims=(
            ("charged once", Evidence.charged_once),
            ("every effect happened once, and nothing else", lambda e: e.made(**FULFILLED)),
        ),
    ),
    Scenario(
        "The card is refused, so the stock is released",
        ends="compensated",
        card=DECLINED,
        claims=(
            ("no charge was tried", lambda e: e.asked("capture") == 0),
            (
                "the stock was reserved once and released once, and nothing else happened",
                lambda e: e.made(reserved=1, released=1),
            ),
        ),
    ),
    Scenario(
        "The courier cannot be reached after the charge, so it is tried until it works",
        ends="succeeded",
        faults=(
            {
                "fault": "unavailable-503",
                "service": "shipping",
                "operation": "book_courier",
                "times": 3,
            },
        ),
        claims=(
            (
                "the courier was asked four times and could not be reached three times",
                lambda e: (
                    (e.asked("book_courier"), e.asked("book_courier", "unavailable-503")) == (4, 3)
                ),
            ),
            ("charged once", Evidence.charged_once),
            ("every effect happened once, and nothing else", lambda e: e.made(**FULFILLED)),
        ),
    ),
    Scenario(
        "The answers to the charge are lost, so the partner is asked whether it happened",
        ends="succeeded",
        faults=(
            {
                "fault": "drop-after",
                "service": "payments",
                "operation": "capture",
                "times": 2,
            },
        ),
        claims=(
            (
                "the answer was lost, and that to its repetition in the same attempt",
                lambda e: e.asked("capture", "drop-after") == 2,
            ),
            ("the partner was asked", lambda e: e.asked("find_capture") >= 1),
            ("charged once", Evidence.charged_once),
            ("then the charge was not tried again", lambda e: e.asked("capture") == 2),
            ("every effect happened once, and nothing else", lambda e: e.made(**FULFILLED)),
        ),
    ),
    Scenario(
        "Somebody signs up, though the answer about the account is lost",
        ends="succeeded",
        saga="customer-registration",
        faults=({"fault": "drop-after", "service": "accounts", "operation": "create", "times": 1},),
        claims=(
            ("the answer was lost", lambda e: e.asked("create", "drop-after") == 1),
            ("every effect happened once, and nothing else", lambda e: e.made(**REGISTERED)),
        ),
    ),
    Scenario(
        "The CRM takes no contact, so the customer and the account are deleted",
        ends="compensated",
        saga="customer-registration",
        faults=({"fault": "refuse", "service": "hubspot", "operation": "create_contact"},),
        claims=(
            ("nobody was let in", lambda e: e.asked("enable") == 0),
            (
                "what was made was deleted, and nothing else happened",
                lambda e: e.made(
                    account_created=1, customer_created=1, customer_deleted=1, account_deleted=1
                ),
            ),
        ),
    ),
    Scenario(
        "A promising lead becomes one opportunity, though Salesforce's answer is lost",
        ends="succeeded",
        saga="lead-qualification",
        faults=(
            {
                "fault": "drop-after",
                "service": "salesforce",
                "operation": "create_opportunity",
                "times": 1,
            },
        ),
        claims=(
            ("the answer was lost", lambda e: e.asked("create_opportunity", "drop-after") == 1),
            (
                "every effect happened once, and nothing else",
                lambda e: e.made(
                    contact_created=1, opportunity_created=1, contact_updated=1, posted=1
                ),
            ),
        ),
    ),
    Scenario(
        "A lead that is not promising yet gets a note instead",
        ends="succeeded",
        saga="lead-qualification",
        budget="0",
        claims=(
            ("no opportunity was asked for", lambda e: e.asked("create_opportunity") == 0),
            (
                "every effect happened once, and nothing else",
                lambda e: e.made(contact_created=1, note_created=1, contact_updated=1),
            ),
        ),
    ),
    Scenario(
        "Salesforce takes no opportunity, so the contact is archived",
        ends="compensated",
        saga="lead-qualification",
        faults=({"fault": "refuse", "service": "salesforce", "operation": "create_opportunity"},),
        claims=(
            (
                "the contact was made once and archived once, and nothing else happened",
                lambda e: e.made(contact_created=1, contact_archived=1),
            ),
        ),
    ),
    Scenario(
        "The carrier tells twice, and the wrong way round, that a parcel was fetched and arrived",
        ends="succeeded",
        saga="parcel-delivery",
        claims=(("the customer was told once that it arrived", lambda e: e.made(sent=1)),),
    ),
)

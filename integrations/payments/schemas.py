"""What the payment partner does for us, and what it answers."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

from pydantic import PositiveInt

from integrations.schemas import Answer, Identifier


class Authorization(Answer):
    """An amount held on the customer's card, not taken yet. Amounts are in the smallest unit."""

    id: Identifier
    amount: PositiveInt
    currency: str
    reference: str


class Capture(Answer):
    """An authorized amount that was taken. It has its authorization's id."""

    id: Identifier
    amount: PositiveInt


class Refund(Answer):
    """A captured amount that is given back. A bank may still fail one that is not `succeeded`."""

    id: Identifier
    amount: PositiveInt
    status: Literal["pending", "requires_action", "succeeded"] = "succeeded"


class Customer(Answer):
    """Somebody whom the payment partner knows. Who it is stays there: here is our reference."""

    id: Identifier
    reference: str


class Subscription(Answer):
    """What a customer pays for again and again."""

    id: Identifier
    customer: Identifier
    reference: str


class SubscriptionState(Answer):
    """How a subscription stands."""

    id: Identifier
    customer: Identifier
    status: str
    cancel_at_period_end: bool = False


class Payments(Protocol):
    """The payment partner. A call takes at most `timeout` seconds; `key` makes repeats harmless.

    Every method raises a PartnerError: refused, unavailable, or, if it changes something, unknown.
    """

    def authorize(
        self,
        amount: int,
        currency: str,
        payment_method: str,
        reference: str,
        *,
        key: str,
        timeout: float,
    ) -> Authorization:
        """Hold `amount`. Refused for a declined card."""

    def capture(
        self, authorization_id: str, *, amount: int | None = None, key: str, timeout: float
    ) -> Capture:
        """Take what is held, or `amount` of it and let the rest go.

        Refused if it is no longer held, unknown if another amount was taken.
        """

    def void(self, authorization_id: str, *, key: str, timeout: float) -> None:
        """Let the held amount go. Nothing to let go is a success; refused once it was captured."""

    def refund(
        self, authorization_id: str, *, amount: int | None = None, key: str, timeout: float
    ) -> Refund | None:
        """Give back what was captured and not yet given back, or `amount` of it.

        None if nothing was captured. Refused if there is less left, unless this very call gave it
        back before; all of it may also have been given back by others.
        """

    def find_refund(self, authorization_id: str, key: str, *, timeout: float) -> Refund | None:
        """What the call with `key` gave back, unless that has failed."""

    def find_authorization(
        self, reference: str, key: str | None = None, *, since: datetime, timeout: float
    ) -> Authorization | None:
        """The newest hold for `reference`, still held or captured; only that of `key` if given.

        Holds from before `since` need not be found.
        """

    def find_capture(self, authorization_id: str, *, timeout: float) -> Capture | None:
        """The capture of an authorization, if it happened."""

    def create_customer(
        self, email: str, name: str, reference: str, *, key: str, timeout: float
    ) -> Customer:
        """Make a customer. The partner takes any number with the same e-mail address."""

    def delete_customer(self, customer_id: str, *, key: str, timeout: float) -> None:
        """Forget a customer and end what they subscribe to. Nobody to forget is a success."""

    def find_customer(
        self, email: str, reference: str, key: str | None = None, *, timeout: float
    ) -> Customer | None:
        """The newest customer made for `reference`; only that of `key` if given."""

    def create_subscription(
        self, customer_id: str, price: str, reference: str, *, key: str, timeout: float
    ) -> Subscription:
        """Let a customer subscribe to the partner's `price`. Refused if either does not exist."""

    def cancel_subscription(self, subscription_id: str, *, key: str, timeout: float) -> None:
        """End a subscription at once. Nothing to end is a success."""

    def find_subscription(
        self, customer_id: str, reference: str, key: str | None = None, *, timeout: float
    ) -> Subscription | None:
        """The newest subscription in force for `reference`; only that of `key` if given."""

    def read_subscription(
        self, subscription_id: str, *, timeout: float
    ) -> SubscriptionState | None:
        """How a subscription stands, also one that has ended; None if there is none."""

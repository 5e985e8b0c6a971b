"""What the payment partner does for us, and what it answers."""

from __future__ import annotations

from typing import Protocol

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
    """A captured amount that was given back."""

    id: Identifier
    amount: PositiveInt


class Customer(Answer):
    """Somebody whom the payment partner knows. Who it is stays there: here is our reference."""

    id: Identifier
    reference: str


class Subscription(Answer):
    """What a customer pays for again and again."""

    id: Identifier
    customer: Identifier
    reference: str


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

    def capture(self, authorization_id: str, *, key: str, timeout: float) -> Capture:
        """Take the whole amount held. Refused if it is no longer held."""

    def void(self, authorization_id: str, *, key: str, timeout: float) -> None:
        """Let the held amount go. Nothing to let go is a success; refused once it was captured."""

    def refund(self, authorization_id: str, *, key: str, timeout: float) -> Refund | None:
        """Give the captured amount back; None if nothing was captured."""

    def find_authorization(
        self, reference: str, key: str | None = None, *, timeout: float
    ) -> Authorization | None:
        """The newest hold for `reference`, still held or captured; only that of `key` if given."""

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

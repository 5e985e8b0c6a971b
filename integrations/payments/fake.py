"""A payment partner in memory."""

from __future__ import annotations

from datetime import datetime

from integrations.errors import PartnerUnknown
from integrations.fakes import HoldingFake
from integrations.payments.schemas import (
    Authorization,
    Capture,
    Customer,
    Refund,
    Subscription,
    SubscriptionState,
)


class FakePayments(HoldingFake):
    """Holds, takes and returns amounts. Stripe's declining test cards decline here too.

    Prices are those whose ids start as Stripe's do.
    """

    partner = "payments"

    def __init__(self) -> None:
        super().__init__()
        self._captures: dict[str, tuple[int, Capture]] = {}  # with the effect's number
        self._refunds: dict[str, dict[str, Refund]] = {}  # by payment, then by key
        self._addresses: dict[str, str] = {}

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
        def do() -> Authorization:
            if "Declined" in payment_method or payment_method.endswith("authenticationRequired"):
                raise self.refusal("authorize", "card_declined")
            held = Authorization(
                id=self._new_id("pi"), amount=amount, currency=currency, reference=reference
            )
            self._hold("authorized", held, key, reference, amount)
            return held

        asked = (amount, currency, payment_method, reference)
        return self._write("authorize", do, key=key, timeout=timeout, asked=asked)

    def capture(
        self, authorization_id: str, *, amount: int | None = None, key: str, timeout: float
    ) -> Capture:
        def do() -> Capture:
            held = self._held.get(authorization_id)
            if held is None or not held.in_force:
                raise self.refusal("capture", "nothing is held under this id")
            wanted = held.answer.amount if amount is None else amount
            if wanted > held.answer.amount:
                raise self.refusal("capture", "amount_too_large")
            if authorization_id not in self._captures:
                effect = self._happened(
                    "captured", authorization_id, key, held.reference, amount=wanted
                )
                taken = Capture(id=authorization_id, amount=wanted)
                self._captures[authorization_id] = effect, taken
            taken = self._captures[authorization_id][1]
            if taken.amount != wanted:
                raise PartnerUnknown(self.partner, "capture", f"took {taken.amount}")
            return taken

        asked = (authorization_id, amount)
        return self._write("capture", do, key=key, timeout=timeout, asked=asked)

    def void(self, authorization_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            if authorization_id in self._captures:
                raise self.refusal("void", "the amount was captured")
            self._undo("voided", authorization_id, key)

        self._write("void", do, key=key, timeout=timeout, asked=authorization_id)

    def refund(
        self, authorization_id: str, *, amount: int | None = None, key: str, timeout: float
    ) -> Refund | None:
        def do() -> Refund | None:
            if authorization_id not in self._captures:
                return None
            effect, taken = self._captures[authorization_id]
            given = self._refunds.setdefault(authorization_id, {})
            left = taken.amount - sum(refund.amount for refund in given.values())
            if key not in given and amount is None and not left:
                return list(given.values())[-1]
            if key not in given:
                if (amount or left) > left:
                    raise self.refusal("refund", "amount_too_large")
                reference = self._held[authorization_id].reference
                about = ("refunded", authorization_id, key, reference)
                self._happened(*about, effect, amount or left)
                given[key] = Refund(id=self._new_id("re"), amount=amount or left)
            return given[key]

        asked = (authorization_id, amount)
        return self._write("refund", do, key=key, timeout=timeout, asked=asked)

    def find_refund(self, authorization_id: str, key: str, *, timeout: float) -> Refund | None:
        def look() -> Refund | None:
            return self._refunds.get(authorization_id, {}).get(key)

        return self._read("find_refund", look, timeout=timeout)

    def find_authorization(
        self, reference: str, key: str | None = None, *, since: datetime, timeout: float
    ) -> Authorization | None:
        def look() -> Authorization | None:
            return self._found(Authorization, reference, key)

        return self._read("find_authorization", look, timeout=timeout)

    def find_capture(self, authorization_id: str, *, timeout: float) -> Capture | None:
        def look() -> Capture | None:
            captured = self._captures.get(authorization_id)
            return captured and captured[1]

        return self._read("find_capture", look, timeout=timeout)

    def create_customer(
        self, email: str, name: str, reference: str, *, key: str, timeout: float
    ) -> Customer:
        def do() -> Customer:
            made = Customer(id=self._new_id("cus"), reference=reference)
            self._addresses[made.id] = email
            self._hold("customer_created", made, key, reference)
            return made

        asked = (email, name, reference)
        return self._write("create_customer", do, key=key, timeout=timeout, asked=asked)

    def delete_customer(self, customer_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            self._undo("customer_deleted", customer_id, key)
            for held in list(self._held.values()):
                if isinstance(held.answer, Subscription) and held.answer.customer == customer_id:
                    self._undo("subscription_canceled", held.answer.id, "")

        self._write("delete_customer", do, key=key, timeout=timeout, asked=customer_id)

    def find_customer(
        self, email: str, reference: str, key: str | None = None, *, timeout: float
    ) -> Customer | None:
        def look() -> Customer | None:
            found = self._found(Customer, reference, key)
            return found if found and self._addresses[found.id] == email else None

        return self._read("find_customer", look, timeout=timeout)

    def create_subscription(
        self, customer_id: str, price: str, reference: str, *, key: str, timeout: float
    ) -> Subscription:
        def do() -> Subscription:
            customer = self._held.get(customer_id)
            if customer is None or not customer.in_force or not price.startswith("price_"):
                raise self.refusal("create_subscription", "resource_missing")
            made = Subscription(id=self._new_id("sub"), customer=customer_id, reference=reference)
            self._hold("subscription_created", made, key, reference)
            return made

        asked = (customer_id, price, reference)
        return self._write("create_subscription", do, key=key, timeout=timeout, asked=asked)

    def cancel_subscription(self, subscription_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            self._undo("subscription_canceled", subscription_id, key)

        self._write("cancel_subscription", do, key=key, timeout=timeout, asked=subscription_id)

    def find_subscription(
        self, customer_id: str, reference: str, key: str | None = None, *, timeout: float
    ) -> Subscription | None:
        def look() -> Subscription | None:
            found = self._found(Subscription, reference, key)
            return found if found and found.customer == customer_id else None

        return self._read("find_subscription", look, timeout=timeout)

    def read_subscription(
        self, subscription_id: str, *, timeout: float
    ) -> SubscriptionState | None:
        def look() -> SubscriptionState | None:
            held = self._held.get(subscription_id)
            if held is None or not isinstance(held.answer, Subscription):
                return None
            status = "active" if held.in_force else "canceled"
            return SubscriptionState(
                id=subscription_id, customer=held.answer.customer, status=status
            )

        return self._read("read_subscription", look, timeout=timeout)

"""A payment partner in memory."""

from __future__ import annotations

from integrations.fakes import Held, HoldingFake
from integrations.payments.schemas import Authorization, Capture, Customer, Refund, Subscription


class FakePayments(HoldingFake):
    """Holds, takes and returns amounts. Stripe's declining test cards decline here too.

    Prices are those whose ids start as Stripe's do.
    """

    partner = "payments"

    def __init__(self) -> None:
        super().__init__()
        self._captures: dict[str, int] = {}
        self._refunds: dict[str, Refund] = {}
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
            self._hold("authorized", held, key, reference)
            return held

        asked = (amount, currency, payment_method, reference)
        return self._write("authorize", do, key=key, timeout=timeout, asked=asked)

    def capture(self, authorization_id: str, *, key: str, timeout: float) -> Capture:
        def do() -> Capture:
            held = self._held.get(authorization_id)
            if held is None or not held.in_force:
                raise self.refusal("capture", "nothing is held under this id")
            if authorization_id not in self._captures:
                effect = self._happened("captured", authorization_id, key, held.reference)
                self._captures[authorization_id] = effect
            return _capture(held)

        return self._write("capture", do, key=key, timeout=timeout, asked=authorization_id)

    def void(self, authorization_id: str, *, key: str, timeout: float) -> None:
        def do() -> None:
            if authorization_id in self._captures:
                raise self.refusal("void", "the amount was captured")
            self._undo("voided", authorization_id, key)

        self._write("void", do, key=key, timeout=timeout, asked=authorization_id)

    def refund(self, authorization_id: str, *, key: str, timeout: float) -> Refund | None:
        def do() -> Refund | None:
            captured = self._captures.get(authorization_id)
            if captured is None:
                return None
            if authorization_id not in self._refunds:
                held = self._held[authorization_id]
                refund = Refund(id=self._new_id("re"), amount=held.answer.amount)
                self._happened("refunded", authorization_id, key, held.reference, captured)
                self._refunds[authorization_id] = refund
            return self._refunds[authorization_id]

        return self._write("refund", do, key=key, timeout=timeout, asked=authorization_id)

    def find_authorization(
        self, reference: str, key: str | None = None, *, timeout: float
    ) -> Authorization | None:
        def look() -> Authorization | None:
            return self._found(Authorization, reference, key)

        return self._read("find_authorization", look, timeout=timeout)

    def find_capture(self, authorization_id: str, *, timeout: float) -> Capture | None:
        def look() -> Capture | None:
            held = self._held.get(authorization_id)
            return _capture(held) if held and authorization_id in self._captures else None

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


def _capture(held: Held) -> Capture:
    return Capture(id=held.answer.id, amount=held.answer.amount)

"""Holds on cards, their captures and refunds: Stripe's payment intents."""

from __future__ import annotations

import time
from dataclasses import replace

import stripe

from integrations.call import Call
from integrations.payments.schemas import Authorization, Capture, Refund
from integrations.payments.sdk import Intent, Resource, asked, mapped

HOLD_LIFETIME = 7 * 24 * 3600
"""Seconds after which a card's bank lets an uncaptured hold go: no need to look further back."""


class StripeIntents(Resource):
    """What the payment partner does with a card's amount."""

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
        call = asked("authorize", timeout)
        with mapped(call):
            intent = self._sdk(call).v1.payment_intents.create(
                {
                    "amount": amount,
                    "currency": currency,
                    "payment_method": payment_method,
                    # Nobody is there to follow a redirect or to confirm: fail instead.
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                    "error_on_requires_action": True,
                    "capture_method": "manual",
                    "confirm": True,
                    "metadata": {"reference": reference, "key": key},
                },
                {"idempotency_key": key},
            )
        return _authorization(call, _intent(call, intent))

    def capture(self, authorization_id: str, *, key: str, timeout: float) -> Capture:
        call = asked("capture", timeout)
        with mapped(call):
            try:
                taken = self._sdk(call).v1.payment_intents.capture(
                    authorization_id, {}, {"idempotency_key": key}
                )
            except stripe.InvalidRequestError:
                # Perhaps captured before, under a key that the partner has forgotten.
                intent = self._look_up(call, authorization_id)
                if intent is None or intent.status != "succeeded":
                    raise
                return _capture(intent)
        return _captured(call, _intent(call, taken))

    def void(self, authorization_id: str, *, key: str, timeout: float) -> None:
        call = asked("void", timeout)
        with mapped(call):
            try:
                self._sdk(call).v1.payment_intents.cancel(
                    authorization_id, {}, {"idempotency_key": key}
                )
            except stripe.InvalidRequestError:
                intent = self._look_up(call, authorization_id)
                if intent is not None and intent.status != "canceled":
                    raise

    def refund(self, authorization_id: str, *, key: str, timeout: float) -> Refund | None:
        call = asked("refund", timeout)
        with mapped(call):
            try:
                given = self._sdk(call).v1.refunds.create(
                    {"payment_intent": authorization_id}, {"idempotency_key": key}
                )
            except stripe.InvalidRequestError:
                intent = self._look_up(call, authorization_id)
                if intent is None or intent.status != "succeeded":
                    return None
                before = self._refund_before(call, authorization_id)
                if before is None:
                    raise
                return before
        return _refund(call, given)

    def find_authorization(
        self, reference: str, key: str | None = None, *, timeout: float
    ) -> Authorization | None:
        """Look through the list of intents, newest first, and not through search.

        Stripe's search may lag a minute or more behind its writes; the list does not.
        """
        call = asked("find_authorization", timeout, writes=False)
        oldest = time.time() - HOLD_LIFETIME
        with mapped(call):
            intents = self._sdk(call).v1.payment_intents.list({"limit": 100})
            for found in intents.auto_paging_iter():
                intent = _intent(call, found)
                if intent.created < oldest:
                    return None
                if intent.holds and intent.is_for(reference, key):
                    return _authorization(call, intent)
        return None

    def find_capture(self, authorization_id: str, *, timeout: float) -> Capture | None:
        call = asked("find_capture", timeout, writes=False)
        with mapped(call):
            intent = self._look_up(call, authorization_id)
        return _capture(intent) if intent and intent.status == "succeeded" else None

    def _look_up(self, call: Call, authorization_id: str) -> Intent | None:
        """The intent as it is now, read within the time of `call`."""
        reading = replace(call, writes=False)
        with mapped(reading):
            try:
                found = self._sdk(reading).v1.payment_intents.retrieve(authorization_id)
            except stripe.InvalidRequestError as error:
                if error.http_status == 404:
                    return None
                raise
        return _intent(reading, found)

    def _refund_before(self, call: Call, authorization_id: str) -> Refund | None:
        reading = replace(call, writes=False)
        with mapped(reading):
            refunds = self._sdk(reading).v1.refunds.list({"payment_intent": authorization_id})
        return _refund(reading, refunds.data[0]) if refunds.data else None


def _intent(call: Call, found: stripe.PaymentIntent) -> Intent:
    return call.shape(Intent, found.to_dict())


def _authorization(call: Call, intent: Intent) -> Authorization:
    if intent.status == "requires_action":
        raise call.refused("the card's owner would have to confirm (requires_action)")
    if not intent.holds:
        raise call.unknown(f"left the payment in status {intent.status}")
    return Authorization(
        id=intent.id,
        amount=intent.amount,
        currency=intent.currency,
        reference=intent.reference,
    )


def _captured(call: Call, intent: Intent) -> Capture:
    if intent.status != "succeeded":
        raise call.unknown(f"left the payment in status {intent.status}")
    return _capture(intent)


def _capture(intent: Intent) -> Capture:
    return Capture(id=intent.id, amount=intent.amount_received or intent.amount)


def _refund(call: Call, refund: stripe.Refund) -> Refund:
    if refund.status in ("failed", "canceled"):
        raise call.refused(f"the refund is {refund.status}")
    return call.shape(Refund, refund.to_dict())

"""Holds on cards, their captures and refunds: Stripe's payment intents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import stripe
from stripe.params import PaymentIntentCaptureParams, RefundCreateParams

from integrations.call import Call
from integrations.payments.schemas import Authorization, Capture, Refund
from integrations.payments.sdk import GivenBack, Intent, Resource, asked, mapped

_SKEW = timedelta(minutes=5)
"""How much Stripe's clock may differ from ours."""


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

    def capture(
        self, authorization_id: str, *, amount: int | None = None, key: str, timeout: float
    ) -> Capture:
        call = asked("capture", timeout)
        part: PaymentIntentCaptureParams = {} if amount is None else {"amount_to_capture": amount}
        with mapped(call):
            try:
                taken = self._sdk(call).v1.payment_intents.capture(
                    authorization_id, part, {"idempotency_key": key}
                )
            except stripe.InvalidRequestError:
                # Perhaps captured before, under a key that the partner has forgotten.
                intent = self._look_up(call, authorization_id)
                if intent is None or intent.status != "succeeded":
                    raise
            else:
                intent = _intent(call, taken)
        return _captured(call, intent, amount)

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

    def refund(
        self, authorization_id: str, *, amount: int | None = None, key: str, timeout: float
    ) -> Refund | None:
        call = asked("refund", timeout)
        wanted: RefundCreateParams = {"payment_intent": authorization_id, "metadata": {"key": key}}
        if amount is not None:
            wanted["amount"] = amount
        with mapped(call):
            try:
                made = self._sdk(call).v1.refunds.create(wanted, {"idempotency_key": key})
            except stripe.InvalidRequestError:
                intent = self._look_up(call, authorization_id)
                if intent is None or intent.status != "succeeded":
                    return None
                given = _given_before(intent, self._refunds(call, authorization_id), amount, key)
                if given is None:
                    raise
            else:
                given = call.shape(GivenBack, made.to_dict())
        if amount is not None and given.amount != amount:
            raise call.unknown(f"gave back {given.amount} and not {amount}")
        if not given.stands:
            raise call.refused(f"the refund is {given.status}")
        return _refund(given)

    def find_refund(self, authorization_id: str, key: str, *, timeout: float) -> Refund | None:
        """One request: the refunds of a payment are few."""
        call = asked("find_refund", timeout, writes=False)
        with mapped(call):
            refunds = self._refunds(call, authorization_id)
        found = (given for given in refunds if given.stands and given.key == key)
        return next(map(_refund, found), None)

    def find_authorization(
        self, reference: str, key: str | None = None, *, since: datetime, timeout: float
    ) -> Authorization | None:
        """Look through the list of intents, newest first, and not through search.

        Stripe's search may lag a minute or more behind its writes; the list does not. It costs a
        request for each hundred intents that were made since then.
        """
        call = asked("find_authorization", timeout, writes=False)
        oldest = (since - _SKEW).timestamp()
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

    def _refunds(self, call: Call, authorization_id: str) -> list[GivenBack]:
        """What was given back of a payment, the newest first."""
        reading = replace(call, writes=False)
        with mapped(reading):
            found = self._sdk(reading).v1.refunds.list(
                {"payment_intent": authorization_id, "limit": 100}
            )
        return [reading.shape(GivenBack, refund.to_dict()) for refund in found.data]


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


def _captured(call: Call, intent: Intent, amount: int | None) -> Capture:
    if intent.status != "succeeded":
        raise call.unknown(f"left the payment in status {intent.status}")
    taken, wanted = _capture(intent), intent.amount if amount is None else amount
    if taken.amount != wanted:
        raise call.unknown(f"took {taken.amount} and not {wanted}")
    return taken


def _capture(intent: Intent) -> Capture:
    return Capture(id=intent.id, amount=intent.amount_received or intent.amount)


def _given_before(
    intent: Intent, refunds: Sequence[GivenBack], amount: int | None, key: str
) -> GivenBack | None:
    """What was given back by an earlier call with `key`; else the last of all that was captured."""
    for given in refunds:
        if given.key == key:
            return given
    standing = [given for given in refunds if given.stands]
    everything = sum(given.amount for given in standing) == _capture(intent).amount
    return standing[0] if amount is None and standing and everything else None


def _refund(given: GivenBack) -> Refund:
    return Refund.model_validate({n: getattr(given, n) for n in Refund.model_fields})

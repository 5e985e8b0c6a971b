"""A stand-in for Stripe: payment intents and refunds here, customers and subscriptions aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from integrations.sandbox import billing, stripe_api
from integrations.sandbox.describe import FORM
from integrations.sandbox.intents import (
    CANCELABLE,
    Intent,
    Refusal,
    check_new,
    decline_code,
    expect,
    missing,
    page,
    whole,
)
from integrations.sandbox.service import Answer, Request, Route, Service, new_id


class Payments(Service):
    """Payment intents with manual capture, refunds of captured ones, customers, subscriptions."""

    name = "payments"
    other_request = (400, "")
    needs_key = False
    bearer = True
    media = FORM
    own_words = True
    invalid = "parameter_invalid"
    errors = stripe_api.ERRORS
    routes = (
        Route.make("authorize", "POST", "/v1/payment_intents", stripe_api.AUTHORIZE),
        Route.make("find_authorization", "GET", "/v1/payment_intents", stripe_api.LIST_INTENTS),
        Route.make("find_capture", "GET", "/v1/payment_intents/{id}", stripe_api.READ_INTENT),
        Route.make("capture", "POST", "/v1/payment_intents/{id}/capture", stripe_api.CAPTURE),
        Route.make("void", "POST", "/v1/payment_intents/{id}/cancel", stripe_api.CANCEL),
        Route.make("refund", "POST", "/v1/refunds", stripe_api.REFUND),
        Route.make("list_refunds", "GET", "/v1/refunds", stripe_api.LIST_REFUNDS),
        Route.make("find_refund", "GET", "/v1/refunds/{id}", stripe_api.READ_REFUND),
        *billing.ROUTES,
    )

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._intents: dict[str, Intent] = {}
        self._billing = billing.Billing(self.effect)
        self._operations: dict[str, Callable[[Request], Answer]] = {
            "authorize": self._create,
            "find_authorization": self._list,
            "find_capture": self._retrieve,
            "capture": self._capture,
            "void": self._cancel,
            "refund": self._refund,
            "list_refunds": self._list_refunds,
            "find_refund": self._retrieve_refund,
            **self._billing.operations,
        }

    def turned_away(self, request: Request) -> Answer | None:
        """Stripe takes writes without a key, and wants a secret key of its own first."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and secret.startswith("sk_test_"):
            return None
        return self.error(401, "", "Send a secret key that starts with sk_test_ as a bearer token.")

    def perform(self, request: Request) -> Answer:
        try:
            return self._operations[request.operation](request)
        except Refusal as refusal:
            return Answer(refusal.status, {"error": refusal.error}, saved=refusal.saved)

    def refuse(self, request: Request) -> Answer:
        if request.operation == "authorize":
            params = {**request.params, "payment_method": "pm_card_chargeDeclined"}
            return self._decline(self._new(params), "generic_decline")
        message = "The sandbox was told to refuse this request."
        error = {
            "type": "invalid_request_error",
            "code": "account_invalid",
            "message": message,
        }
        return Answer(400, {"error": error})

    def error(self, status: int, code: str, message: str) -> Answer:
        kind = "api_error" if status >= 500 else "invalid_request_error"
        if (status, code) == self.other_request:
            kind = "idempotency_error"
        error = {"type": kind, "message": message} | ({"code": code} if code else {})
        return Answer(status, {"error": error}, saved=False)

    def reference(self, request: Request) -> str:
        intent = self._intents.get(request.object_id or request.params.get("payment_intent", ""))
        marked = intent.metadata if intent else self._billing.metadata(request.object_id)
        metadata = request.params.get("metadata", {}) if marked is None else marked
        return str(metadata.get("reference", ""))

    def clear(self) -> None:
        self._intents.clear()
        self._billing.clear()

    # Payment intents

    def _create(self, request: Request) -> Answer:
        check_new(request.params)
        intent = self._new(request.params)
        decline = decline_code(intent.payment_method)
        if decline:
            return self._decline(intent, decline)
        intent.charge = new_id("ch")
        effect = self.effect(request, "authorized", intent.id)
        intent.authorized = effect.seq
        return Answer(200, intent.body(), [effect])

    def _new(self, params: Mapping[str, Any]) -> Intent:
        intent = Intent(
            id=new_id("pi"),
            amount=int(params.get("amount", 0)),
            currency=str(params.get("currency", "")),
            metadata=params.get("metadata", {}),
            payment_method=str(params.get("payment_method", "")),
            created=int(time.time()),
        )
        self._intents[intent.id] = intent
        return intent

    def _decline(self, intent: Intent, code: str) -> Answer:
        intent.status = "requires_payment_method"
        intent.charge = new_id("ch")
        intent.decline = {
            "type": "card_error",
            "code": "card_declined",
            "decline_code": code,
            "charge": intent.charge,
            "message": "Your card was declined.",
        }
        return Answer(402, {"error": {**intent.decline, "payment_intent": intent.body()}})

    def _list(self, request: Request) -> Answer:
        newest_first = reversed(self._intents.values())
        since = whole(request.params.get("created", {}).get("gte", "0"), "created[gte]")
        found = [intent.body() for intent in newest_first if intent.created >= since]
        return page("/v1/payment_intents", found, request.params)

    def _retrieve(self, request: Request) -> Answer:
        return Answer(200, self._intent(request.object_id).body())

    def _capture(self, request: Request) -> Answer:
        intent = self._intent(request.object_id)
        expect(intent, "captured", ("requires_capture",))
        effect = self.effect(request, "captured", intent.id)
        intent.status, intent.captured = "succeeded", effect.seq
        return Answer(200, intent.body(), [effect])

    def _cancel(self, request: Request) -> Answer:
        intent = self._intent(request.object_id)
        expect(intent, "canceled", CANCELABLE)
        intent.status, intent.canceled_at = "canceled", int(time.time())
        if intent.authorized is None:
            return Answer(200, intent.body())
        effect = self.effect(request, "voided", intent.id, undoes=intent.authorized)
        return Answer(200, intent.body(), [effect])

    def _intent(self, intent_id: str) -> Intent:
        intent = self._intents.get(intent_id)
        if intent is None:
            raise missing("payment_intent", intent_id, "intent")
        return intent

    # Refunds

    def _refund(self, request: Request) -> Answer:
        intent = self._intent(str(request.params.get("payment_intent", "")))
        if intent.captured is None:
            message = (
                f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
            )
            raise Refusal(400, "invalid_request_error", "payment_intent_unexpected_state", message)
        if intent.refund is not None:
            message = f"Charge {intent.charge} has already been refunded."
            raise Refusal(400, "invalid_request_error", "charge_already_refunded", message)
        effect = self.effect(request, "refunded", intent.id, undoes=intent.captured)
        intent.refund = {
            "id": new_id("re"),
            "object": "refund",
            "amount": intent.amount,
            "charge": intent.charge,
            "created": int(time.time()),
            "currency": intent.currency,
            "metadata": {},
            "payment_intent": intent.id,
            "status": "succeeded",
        }
        return Answer(200, intent.refund, [effect])

    def _list_refunds(self, request: Request) -> Answer:
        wanted = request.params.get("payment_intent")
        refunds = [i.refund for i in self._intents.values() if i.refund]
        found = [r for r in reversed(refunds) if wanted in (None, r["payment_intent"])]
        return page("/v1/refunds", found, request.params)

    def _retrieve_refund(self, request: Request) -> Answer:
        for intent in self._intents.values():
            if intent.refund and intent.refund["id"] == request.object_id:
                return Answer(200, intent.refund)
        raise missing("refund", request.object_id, "refund")

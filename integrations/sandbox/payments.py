"""A stand-in for Stripe: payment intents and refunds here, customers and subscriptions aside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from integrations.effects import Effect
from integrations.sandbox import billing, money, stripe_api
from integrations.sandbox.describe import FORM
from integrations.sandbox.intents import (
    CANCELABLE,
    Intent,
    Invalid,
    Refusal,
    check_new,
    created_within,
    decline_code,
    expect,
    missing,
    page,
    positive,
)
from integrations.sandbox.service import Answer, Request, Route, Service, new_id

_TO_CAPTURE = "amount_to_capture"


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
        self._refunds: dict[str, dict[str, Any]] = {}
        self._ahead = 0.0
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

    def unknown(self, path: Sequence[str]) -> Answer:
        name = path[0] + "".join(f"[{part}]" for part in path[1:])
        code, message = "parameter_unknown", f"Received unknown parameter: {name}"
        if name == "payment_method_types":
            code = "payment_method_types_no_longer_supported"
            message = "Give automatic_payment_methods instead of payment_method_types."
        return _refused(Invalid(code, message, name))

    def turned_away(self, request: Request) -> Answer | None:
        """Stripe takes writes without a key, and wants a secret key of a test account first."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and secret.startswith(("sk_test_", "rk_test_")):
            return None
        return self.error(401, "", "Send a key that starts with sk_test_ or rk_test_ as a bearer.")

    def perform(self, request: Request) -> Answer:
        return _answered(self._operations[request.operation], request)

    def refuse(self, request: Request) -> Answer:
        if request.operation == "authorize":
            return _answered(self._create_declined, request)
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
        self._refunds.clear()
        self._ahead = 0.0
        self._billing.clear()

    # Payment intents

    def _create(self, request: Request) -> Answer:
        intent = self._new(request.params)
        decline = decline_code(intent.payment_method)
        if decline:
            return self._decline(intent, decline)
        intent.charge = new_id("ch")
        effect = self.effect(request, "authorized", intent.id, amount=intent.amount)
        intent.authorized = effect.seq
        return Answer(200, intent.body(), [effect])

    def _create_declined(self, request: Request) -> Answer:
        return self._decline(self._new(request.params), "generic_decline")

    def _new(self, params: Mapping[str, Any]) -> Intent:
        check_new(params)
        intent = Intent(
            id=new_id("pi"),
            amount=positive(params["amount"], "amount"),
            currency=money.currency(str(params["currency"])),
            metadata=params.get("metadata", {}),
            payment_method=str(params.get("payment_method", "")),
            description=params.get("description"),
            created=self._now(),
        )
        money.check_charge(intent.amount, intent.currency)
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
        within = created_within(request.params)
        newest_first = reversed(self._intents.values())
        found = [intent.body() for intent in newest_first if within(intent.created)]
        return page("/v1/payment_intents", found, request.params)

    def _retrieve(self, request: Request) -> Answer:
        return Answer(200, self._intent(request.object_id).body())

    def _capture(self, request: Request) -> Answer:
        intent = self._intent(request.object_id)
        expect(intent, "captured", ("requires_capture",))
        taken = positive(request.params.get("amount_to_capture", intent.amount), _TO_CAPTURE)
        if taken > intent.amount:
            message = f"Only {intent.amount} can be captured of this PaymentIntent."
            raise Invalid("amount_too_large", message, _TO_CAPTURE)
        money.check_parts(taken, intent.currency, _TO_CAPTURE)
        effect = self.effect(request, "captured", intent.id, amount=taken)
        intent.status, intent.captured, intent.received = "succeeded", effect.seq, taken
        return Answer(200, intent.body(), [effect])

    def _cancel(self, request: Request) -> Answer:
        intent = self._intent(request.object_id)
        expect(intent, "canceled", CANCELABLE)
        intent.cancellation_reason = request.params.get("cancellation_reason")
        effects = self._let_go(intent, "voided", request)
        return Answer(200, intent.body(), effects)

    def _let_go(self, intent: Intent, kind: str, request: Request) -> Sequence[Effect]:
        intent.status, intent.canceled_at = "canceled", self._now()
        if intent.authorized is None:
            return ()
        return [self.effect(request, kind, intent.id, intent.authorized, intent.amount)]

    def advance(self, seconds: float) -> Sequence[Effect]:
        """Banks let go what was not captured within seven days."""
        self._ahead += seconds
        lapsed: list[Effect] = []
        for intent in self._intents.values():
            if intent.status == "requires_capture" and intent.lapses_at <= self._now():
                intent.cancellation_reason = "automatic"
                nobody = Request(self.name, "expire", "GET", "", intent.id, {}, {})
                lapsed += self._let_go(intent, "expired", nobody)
        return lapsed

    def _now(self) -> int:
        return int(time.time() + self._ahead)

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
        left = intent.received - intent.refunded
        if not left:
            message = f"Charge {intent.charge} has already been refunded."
            raise Refusal(400, "invalid_request_error", "charge_already_refunded", message)
        amount = positive(request.params.get("amount", left), "amount")
        if amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount ({left})."
            raise Invalid("amount_too_large", message, "amount")
        money.check_parts(amount, intent.currency, "amount")
        effect = self.effect(request, "refunded", intent.id, intent.captured, amount)
        intent.refunded += amount
        refund: dict[str, Any] = {
            "id": new_id("re"),
            "object": "refund",
            "amount": amount,
            "charge": intent.charge,
            "created": self._now(),
            "currency": intent.currency,
            "metadata": dict(request.params.get("metadata", {})),
            "payment_intent": intent.id,
            "reason": request.params.get("reason"),
            "status": "succeeded",
        }
        self._refunds[refund["id"]] = refund
        return Answer(200, refund, [effect])

    def _list_refunds(self, request: Request) -> Answer:
        wanted, within = request.params.get("payment_intent"), created_within(request.params)
        newest_first = [r for r in reversed(self._refunds.values()) if within(r["created"])]
        found = [r for r in newest_first if wanted in (None, r["payment_intent"])]
        return page("/v1/refunds", found, request.params)

    def _retrieve_refund(self, request: Request) -> Answer:
        refund = self._refunds.get(request.object_id)
        if refund is None:
            raise missing("refund", request.object_id, "refund")
        return Answer(200, refund)


def _answered(operation: Callable[[Request], Answer], request: Request) -> Answer:
    try:
        return operation(request)
    except Refusal as refusal:
        return _refused(refusal)


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.status, {"error": refusal.error}, saved=refusal.saved)

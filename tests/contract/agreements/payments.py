"""What we rely on of Stripe's API, through Stripe's own SDK."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest
from pydantic import SecretStr

from integrations.conf import PaymentsSettings, load
from integrations.errors import PartnerRefused, PartnerUnavailable
from integrations.payments.client import StripePayments, connect
from integrations.payments.schemas import (
    Authorization,
    Capture,
    Customer,
    Refund,
    Subscription,
    SubscriptionState,
)
from integrations.sandbox.process import RunningSandbox
from tests.contract.terms import (
    BEARER,
    FORM,
    KEY,
    REFERENCE,
    TIMEOUT,
    Agreement,
    Partner,
    Unfit,
    from_state,
    list_of,
    overloaded,
    path_of,
    reference,
    shaped,
    text,
    whole,
)
from tests.moments import RECENTLY

_CARD, _DECLINED = "pm_card_visa", "pm_card_chargeDeclined"
_CREATED = 4_102_444_800
"""Of what Stripe lists in the tests of our client: not too old in this century."""
_WRITES = {**BEARER, **KEY}
_HOLD = Authorization(id="pi_1", amount=1250, currency="eur", reference=REFERENCE)
_INTENT = {
    "id": shaped("pi_1", r"^pi_\w+$"),
    "object": "payment_intent",
    "amount": whole(1250),
    "created": whole(_CREATED),
    "currency": "eur",
    "metadata": {"reference": text(REFERENCE), "key": text("key-1")},
}
_HELD = {**_INTENT, "status": "requires_capture"}
_TAKEN = {**_INTENT, "amount_received": whole(1250), "status": "succeeded"}
_GIVEN_BACK = {
    "id": shaped("re_1", r"^re_\w+$"),
    "object": "refund",
    "amount": whole(1250),
    "payment_intent": text("pi_1"),
    "metadata": {"key": text("key-1")},
    "status": "succeeded",
}
_CUSTOMER = {
    "id": shaped("cus_1", r"^cus_\w+$"),
    "object": "customer",
    "metadata": {"reference": text(REFERENCE), "key": text("key-1")},
}
_SUBSCRIPTION = {
    "id": shaped("sub_1", r"^sub_\w+$"),
    "object": "subscription",
    "customer": text("cus_1"),
    "status": "active",
    "metadata": {"reference": text(REFERENCE), "key": text("key-1")},
}

_A_SUBSCRIPTION = path_of(
    "/v1/subscriptions/sub_1", r"^/v1/subscriptions/sub_\w+$", "/v1/subscriptions/${id}"
)


def _page(thing: object) -> dict[str, object]:
    return {"object": "list", "data": list_of(thing), "has_more": False}


def _intent(verb: str = "") -> object:
    example = f"/v1/payment_intents/pi_1{verb}"
    return path_of(
        example, rf"^/v1/payment_intents/pi_\w+{verb}$", f"/v1/payment_intents/${{id}}{verb}"
    )


def _marked() -> dict[str, object]:
    return {"metadata[reference]": reference(), "metadata[key]": from_state("key-1", "key")}


def _wanted(card: str) -> dict[str, object]:
    return {
        "amount": "1250",
        "currency": "eur",
        "payment_method": card,
        "automatic_payment_methods[enabled]": "true",
        "automatic_payment_methods[allow_redirects]": "never",
        "error_on_requires_action": "true",
        "capture_method": "manual",
        "confirm": "true",
        **_marked(),
    }


# Our client


def _client(address: str) -> StripePayments:
    key = SecretStr("token-1")
    return StripePayments(PaymentsSettings(payments_api_base=address, payments_api_key=key))


def _authorize(address: str, card: str = _CARD) -> Authorization:
    return _client(address).authorize(1250, "eur", card, REFERENCE, key="key-1", timeout=TIMEOUT)


def _authorizes(address: str) -> None:
    assert _authorize(address) == _HOLD


def _is_declined(address: str) -> None:
    with pytest.raises(PartnerRefused, match="402 CardError card_declined"):
        _authorize(address, _DECLINED)


def _is_turned_away(address: str) -> None:
    with pytest.raises(PartnerUnavailable) as caught:
        _authorize(address)
    assert caught.value.retry_after == 7


def _captures(address: str) -> None:
    taken = _client(address).capture("pi_1", key="key-1", timeout=TIMEOUT)
    assert taken == Capture(id="pi_1", amount=1250)


def _voids(address: str) -> None:
    _client(address).void("pi_1", key="key-1", timeout=TIMEOUT)


def _cannot_void(address: str) -> None:
    with pytest.raises(PartnerRefused, match="payment_intent_unexpected_state"):
        _voids(address)


def _refunds(address: str) -> None:
    given = _client(address).refund("pi_1", key="key-1", timeout=TIMEOUT)
    assert given == Refund(id="re_1", amount=1250)


def _finds_refund(address: str) -> None:
    found = _client(address).find_refund("pi_1", "key-1", timeout=TIMEOUT)
    assert found == Refund(id="re_1", amount=1250)


def _finds_authorization(address: str) -> None:
    assert (
        _client(address).find_authorization(REFERENCE, "key-1", since=RECENTLY, timeout=TIMEOUT)
        == _HOLD
    )


def _finds_capture(address: str) -> None:
    found = _client(address).find_capture("pi_1", timeout=TIMEOUT)
    assert found == Capture(id="pi_1", amount=1250)


def _finds_no_capture(address: str) -> None:
    assert _client(address).find_capture("pi_nothing", timeout=TIMEOUT) is None


def _creates_customer(address: str) -> None:
    made = _client(address).create_customer(
        "ann@example.com", "Ann", REFERENCE, key="key-1", timeout=TIMEOUT
    )
    assert made == Customer(id="cus_1", reference=REFERENCE)


def _deletes_customer(address: str) -> None:
    _client(address).delete_customer("cus_1", key="key-1", timeout=TIMEOUT)


def _finds_customer(address: str) -> None:
    found = _client(address).find_customer("ann@example.com", REFERENCE, timeout=TIMEOUT)
    assert found == Customer(id="cus_1", reference=REFERENCE)


def _subscribes(address: str) -> None:
    made = _client(address).create_subscription(
        "cus_1", "price_1", REFERENCE, key="key-1", timeout=TIMEOUT
    )
    assert made == Subscription(id="sub_1", customer="cus_1", reference=REFERENCE)


def _unsubscribes(address: str) -> None:
    _client(address).cancel_subscription("sub_1", key="key-1", timeout=TIMEOUT)


def _finds_subscription(address: str) -> None:
    found = _client(address).find_subscription("cus_1", REFERENCE, timeout=TIMEOUT)
    assert found == Subscription(id="sub_1", customer="cus_1", reference=REFERENCE)


def _reads_subscription(address: str) -> None:
    found = _client(address).read_subscription("sub_1", timeout=TIMEOUT)
    assert found == SubscriptionState(id="sub_1", customer="cus_1", status="active")


# The partner's states


def _credentials() -> Mapping[str, str]:
    key = load(PaymentsSettings).payments_api_key.get_secret_value()
    if not key.startswith(("sk_test_", "rk_test_")):
        raise Unfit("INTEGRATIONS_PAYMENTS_API_KEY is no key of Stripe's test mode (sk_test_…)")
    return {"token": key}


def _held() -> Mapping[str, str]:
    wanted = f"order:{uuid4().hex}"
    held = connect().authorize(1250, "eur", _CARD, wanted, key=uuid4().hex, timeout=TIMEOUT)
    return {"id": held.id, "reference": wanted}


def _taken() -> Mapping[str, str]:
    held = _held()
    connect().capture(held["id"], key=uuid4().hex, timeout=TIMEOUT)
    return held


def _given_back() -> Mapping[str, str]:
    taken, key = _taken(), uuid4().hex
    connect().refund(taken["id"], key=key, timeout=TIMEOUT)
    return {**taken, "key": key}


def _known() -> Mapping[str, str]:
    wanted = f"order:{uuid4().hex}"
    made = connect().create_customer(
        "ann@example.com", "Ann", wanted, key=uuid4().hex, timeout=TIMEOUT
    )
    return {"id": made.id, "customer": made.id, "reference": wanted}


def _for_sale(sandbox: RunningSandbox) -> Mapping[str, str]:
    """The sandbox takes any price; at Stripe somebody has to make one."""
    return _known()


def _subscribed(sandbox: RunningSandbox) -> Mapping[str, str]:
    known = _known()
    made = connect().create_subscription(
        known["customer"], "price_1", known["reference"], key=uuid4().hex, timeout=TIMEOUT
    )
    return {**known, "id": made.id}


_A_CAPTURE = Agreement(
    "a look at a payment that was taken",
    "a payment is taken",
    "GET",
    _intent(),
    _finds_capture,
    headers=BEARER,
    answer=_TAKEN,
)
PARTNER = Partner(
    name="payments",
    address_variable="INTEGRATIONS_PAYMENTS_API_BASE",
    credentials=_credentials,
    states={
        "the account is open": dict,
        "a payment is held": _held,
        "a payment is taken": _taken,
        "a payment is given back": _given_back,
        "a customer is known": _known,
    },
    stand_in_states={
        "it is overloaded": overloaded("payments"),
        "a customer is known, and there is a price": _for_sale,
        "a customer has subscribed": _subscribed,
    },
    agreements=[
        Agreement(
            "a payment to hold",
            "the account is open",
            "POST",
            "/v1/payment_intents",
            _authorizes,
            headers=_WRITES,
            body=_wanted(_CARD),
            media=FORM,
            answer=_HELD,
        ),
        Agreement(
            "a payment with a card that is declined",
            "the account is open",
            "POST",
            "/v1/payment_intents",
            _is_declined,
            status=402,
            headers=_WRITES,
            body=_wanted(_DECLINED),
            media=FORM,
            answer={"error": {"type": "card_error", "code": "card_declined"}},
        ),
        Agreement(
            "a payment to hold while it is overloaded",
            "it is overloaded",
            "POST",
            "/v1/payment_intents",
            _is_turned_away,
            status=429,
            headers=_WRITES,
            body=_wanted(_CARD),
            media=FORM,
            answer={"error": {"code": text("rate_limit")}},
            answer_headers={"Retry-After": "7"},
        ),
        Agreement(
            "a payment to take",
            "a payment is held",
            "POST",
            _intent("/capture"),
            _captures,
            headers=_WRITES,
            answer=_TAKEN,
        ),
        Agreement(
            "a payment to let go",
            "a payment is held",
            "POST",
            _intent("/cancel"),
            _voids,
            headers=_WRITES,
            answer={**_INTENT, "status": "canceled"},
        ),
        Agreement(
            "a payment to let go that was taken",
            "a payment is taken",
            "POST",
            _intent("/cancel"),
            _cannot_void,
            status=400,
            headers=_WRITES,
            answer={
                "error": {
                    "type": "invalid_request_error",
                    "code": "payment_intent_unexpected_state",
                }
            },
            also=(_A_CAPTURE,),
        ),
        Agreement(
            "a refund",
            "a payment is taken",
            "POST",
            "/v1/refunds",
            _refunds,
            headers=_WRITES,
            body={
                "payment_intent": from_state("pi_1", "id"),
                "metadata[key]": from_state("key-1", "key"),
            },
            media=FORM,
            answer=_GIVEN_BACK,
        ),
        Agreement(
            "a search for a refund",
            "a payment is given back",
            "GET",
            "/v1/refunds",
            _finds_refund,
            headers=BEARER,
            query={"payment_intent": from_state("pi_1", "id"), "limit": "100"},
            answer=_page(_GIVEN_BACK),
        ),
        Agreement(
            "a search for a payment",
            "a payment is held",
            "GET",
            "/v1/payment_intents",
            _finds_authorization,
            headers=BEARER,
            query={"limit": "100"},
            answer=_page(_HELD),
        ),
        _A_CAPTURE,
        Agreement(
            "a look at a payment that is not there",
            "the account is open",
            "GET",
            "/v1/payment_intents/pi_nothing",
            _finds_no_capture,
            status=404,
            headers=BEARER,
            answer={"error": {"type": "invalid_request_error", "code": "resource_missing"}},
        ),
        Agreement(
            "a customer",
            "the account is open",
            "POST",
            "/v1/customers",
            _creates_customer,
            headers=_WRITES,
            body={"email": "ann@example.com", "name": "Ann", **_marked()},
            media=FORM,
            answer=_CUSTOMER,
        ),
        Agreement(
            "a customer to delete",
            "a customer is known",
            "DELETE",
            path_of("/v1/customers/cus_1", r"^/v1/customers/cus_\w+$", "/v1/customers/${id}"),
            _deletes_customer,
            headers=BEARER,
            answer={"id": shaped("cus_1", r"^cus_\w+$"), "object": "customer", "deleted": True},
        ),
        Agreement(
            "a search for a customer",
            "a customer is known",
            "GET",
            "/v1/customers",
            _finds_customer,
            headers=BEARER,
            query={"email": "ann@example.com", "limit": "100"},
            answer=_page(_CUSTOMER),
        ),
        Agreement(
            "a subscription",
            "a customer is known, and there is a price",
            "POST",
            "/v1/subscriptions",
            _subscribes,
            headers=_WRITES,
            body={
                "customer": from_state("cus_1", "customer"),
                "items[0][price]": "price_1",
                "collection_method": "send_invoice",
                "days_until_due": "14",
                **_marked(),
            },
            media=FORM,
            answer=_SUBSCRIPTION,
        ),
        Agreement(
            "a subscription to cancel",
            "a customer has subscribed",
            "DELETE",
            _A_SUBSCRIPTION,
            _unsubscribes,
            headers=BEARER,
            answer={**_SUBSCRIPTION, "status": "canceled"},
        ),
        Agreement(
            "a search for a subscription",
            "a customer has subscribed",
            "GET",
            "/v1/subscriptions",
            _finds_subscription,
            headers=BEARER,
            query={"customer": from_state("cus_1", "customer"), "limit": "100"},
            answer=_page(_SUBSCRIPTION),
        ),
        Agreement(
            "a look at a subscription",
            "a customer has subscribed",
            "GET",
            _A_SUBSCRIPTION,
            _reads_subscription,
            headers=BEARER,
            answer={**_SUBSCRIPTION, "cancel_at_period_end": False},
        ),
    ],
)

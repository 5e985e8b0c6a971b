"""Our payments connector against localstripe. What is marked to fail is where localstripe differs
from Stripe's own documentation; each says how.
"""

from pathlib import Path
from uuid import uuid4

import pytest
import stripe

from integrations.conf import PaymentsSettings
from integrations.errors import PartnerRefused
from integrations.payments.client import StripePayments
from integrations.payments.schemas import Authorization, Customer
from tests.contract.conftest import UNKNOWN_TO_IT, running_localstripe
from tests.moments import RECENTLY


@pytest.fixture
def reference() -> str:
    return f"order:{uuid4().hex}"


def once() -> dict[str, object]:
    return {"key": uuid4().hex, "timeout": 10.0}


def authorize(
    payments: StripePayments, reference: str, payment_method: str = "pm_card_visa", key: str = ""
) -> Authorization:
    return payments.authorize(
        1250, "eur", payment_method, reference, key=key or uuid4().hex, timeout=10.0
    )


def create_customer(payments: StripePayments, reference: str) -> Customer:
    return payments.create_customer(
        "ann@example.com", "Ann", reference, key=uuid4().hex, timeout=10.0
    )


def test_a_hold_is_found_by_its_reference_and_key(payments: StripePayments, reference: str) -> None:
    key = uuid4().hex
    held = authorize(payments, reference, key=key)
    assert (held.amount, held.currency, held.reference) == (1250, "eur", reference)
    assert payments.find_authorization(reference, since=RECENTLY, timeout=10.0) == held
    assert payments.find_authorization(reference, key, since=RECENTLY, timeout=10.0) == held
    assert payments.find_authorization(reference, uuid4().hex, since=RECENTLY, timeout=10.0) is None


def test_a_hold_is_captured_once(payments: StripePayments, reference: str) -> None:
    held = authorize(payments, reference)
    assert payments.find_capture(held.id, timeout=10.0) is None
    captured = payments.capture(held.id, **once())  # type: ignore[arg-type]
    assert payments.capture(held.id, **once()) == captured  # type: ignore[arg-type]
    assert payments.find_capture(held.id, timeout=10.0) == captured
    with pytest.raises(PartnerRefused):
        payments.void(held.id, **once())  # type: ignore[arg-type]


def test_a_hold_is_let_go_and_is_then_not_found(payments: StripePayments, reference: str) -> None:
    held = authorize(payments, reference)
    payments.void(held.id, **once())  # type: ignore[arg-type]
    payments.void(held.id, **once())  # type: ignore[arg-type]
    payments.void("pi_nothing_there", **once())  # type: ignore[arg-type]
    assert payments.find_authorization(reference, since=RECENTLY, timeout=10.0) is None


def test_a_captured_amount_is_given_back(payments: StripePayments, reference: str) -> None:
    held = authorize(payments, reference)
    payments.capture(held.id, **once())  # type: ignore[arg-type]
    refund = payments.refund(held.id, **once())  # type: ignore[arg-type]
    assert refund is not None
    assert refund.amount == 1250


def test_a_card_that_fails_when_charged_is_refused(
    payments: StripePayments, reference: str
) -> None:
    with pytest.raises(PartnerRefused, match="402 CardError card_declined"):
        authorize(payments, reference, "pm_card_chargeCustomerFail")
    assert payments.find_authorization(reference, since=RECENTLY, timeout=10.0) is None


def test_a_customer_is_made_and_forgotten(payments: StripePayments, reference: str) -> None:
    made = create_customer(payments, reference)
    assert made.reference == reference
    payments.delete_customer(made.id, **once())  # type: ignore[arg-type]
    payments.delete_customer(made.id, **once())  # type: ignore[arg-type]


def test_a_customer_is_found_by_address_and_reference(
    payments: StripePayments, reference: str
) -> None:
    made = create_customer(payments, reference)
    assert payments.find_customer("ann@example.com", reference, timeout=10.0) == made


# Where localstripe 1.15 differs from Stripe's documentation.


def test_it_refuses_documented_parameters_of_a_new_payment_intent(
    tmp_path: Path, reference: str
) -> None:
    with running_localstripe(tmp_path) as address:
        settings = PaymentsSettings(payments_api_base=address, payments_api_key="sk_test_12345")
        with pytest.raises(PartnerRefused, match="answered 400 InvalidRequestError"):
            authorize(StripePayments(settings), reference)
        sdk = stripe.StripeClient("sk_test_12345", base_addresses={"api": address})
        for name in UNKNOWN_TO_IT:
            with pytest.raises(stripe.InvalidRequestError, match=f"Unexpected {name}"):
                sdk.v1.payment_intents.create(
                    {"amount": 1, "currency": "eur", name: {"enabled": True}}  # type: ignore[misc]
                )


@pytest.mark.xfail(strict=True, reason="POST: the Idempotency-Key header is not looked at")
def test_the_same_key_makes_one_hold(payments: StripePayments, reference: str) -> None:
    key = uuid4().hex
    assert authorize(payments, reference, key=key) == authorize(payments, reference, key=key)


@pytest.mark.xfail(strict=True, reason="POST /v1/payment_intents: this card is not declined")
def test_a_card_that_declines_is_refused(payments: StripePayments, reference: str) -> None:
    with pytest.raises(PartnerRefused):
        authorize(payments, reference, "pm_card_visa_chargeDeclined")


@pytest.mark.xfail(strict=True, reason="POST …/capture: a canceled intent answers 200")
def test_what_was_let_go_cannot_be_captured(payments: StripePayments, reference: str) -> None:
    held = authorize(payments, reference)
    payments.void(held.id, **once())  # type: ignore[arg-type]
    with pytest.raises(PartnerRefused):
        payments.capture(held.id, **once())  # type: ignore[arg-type]


@pytest.mark.xfail(strict=True, reason="POST /v1/refunds: a refunded charge is refunded again")
def test_a_captured_amount_is_given_back_once(payments: StripePayments, reference: str) -> None:
    held = authorize(payments, reference)
    payments.capture(held.id, **once())  # type: ignore[arg-type]
    first = payments.refund(held.id, **once())  # type: ignore[arg-type]
    assert payments.refund(held.id, **once()) == first  # type: ignore[arg-type]


@pytest.mark.xfail(strict=True, reason="GET /v1/payment_intents: `created` is refused with 400")
def test_a_list_can_start_at_a_time(localstripe: str) -> None:
    sdk = stripe.StripeClient("sk_test_12345", base_addresses={"api": localstripe})
    sdk.v1.payment_intents.list({"created": {"gte": 0}})


@pytest.mark.xfail(strict=True, reason="GET /v1/payment_intents: the oldest comes first")
def test_a_list_is_newest_first(payments: StripePayments, localstripe: str, reference: str) -> None:
    made = [authorize(payments, reference).id for _ in range(2)]
    sdk = stripe.StripeClient("sk_test_12345", base_addresses={"api": localstripe})
    listed = [
        intent.id for intent in sdk.v1.payment_intents.list({"limit": 100}).auto_paging_iter()
    ]
    assert listed.index(made[1]) < listed.index(made[0])


@pytest.mark.xfail(
    strict=True, reason="POST /v1/subscriptions: `collection_method` and prices are refused"
)
def test_a_customer_subscribes(payments: StripePayments, reference: str) -> None:
    customer = create_customer(payments, reference)
    payments.create_subscription(
        customer.id, "price_basic", reference, key=uuid4().hex, timeout=10.0
    )


@pytest.mark.xfail(strict=True, reason="GET /v1/customers/…: a deleted one answers 404")
def test_a_deleted_customer_can_still_be_read(
    payments: StripePayments, localstripe: str, reference: str
) -> None:
    made = create_customer(payments, reference)
    payments.delete_customer(made.id, key=uuid4().hex, timeout=10.0)
    sdk = stripe.StripeClient("sk_test_12345", base_addresses={"api": localstripe})
    assert sdk.v1.customers.retrieve(made.id).deleted

"""What holds for payments in particular, fake or real."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.payments import Authorization, SubscriptionState
from tests.integrations.conformance.rig import Rig
from tests.moments import RECENTLY


class Case:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.client = rig.client

    def authorize(self, key: str = "a", payment_method: str = "pm_card_visa") -> Authorization:
        authorization: Authorization = self.client.authorize(
            1250, "eur", payment_method, self.rig.reference, **self.once(key)
        )
        return authorization

    def once(self, key: str) -> dict[str, object]:
        return {"key": f"{key}-{self.rig.reference}", "timeout": 10.0}


@pytest.fixture
def case(rigs: Callable[[str], Rig]) -> Case:
    return Case(rigs("payments"))


def test_an_authorization_says_what_is_held(case: Case) -> None:
    held = case.authorize()
    assert (held.amount, held.currency, held.reference) == (1250, "eur", case.rig.reference)


@pytest.mark.parametrize(
    "payment_method",
    [
        "pm_card_chargeDeclined",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "pm_card_authenticationRequired",
    ],
)
def test_a_declined_card_is_refused_again_and_again_and_nothing_is_held(
    case: Case, payment_method: str
) -> None:
    for _ in range(2):
        with pytest.raises(PartnerRefused, match=r"card_declined|authentication_required"):
            case.authorize(payment_method=payment_method)
    assert case.client.find_authorization(case.rig.reference, since=RECENTLY, timeout=10.0) is None
    assert case.rig.effects() == []


def test_a_captured_amount_is_found_as_capture_and_as_authorization(case: Case) -> None:
    held = case.authorize()
    assert case.client.find_capture(held.id, timeout=10.0) is None
    captured = case.client.capture(held.id, **case.once("c"))
    assert (captured.id, captured.amount) == (held.id, 1250)
    assert case.client.find_capture(held.id, timeout=10.0) == captured
    assert case.client.find_authorization(case.rig.reference, since=RECENTLY, timeout=10.0) == held


@pytest.mark.parametrize("second_key", ["c", "another"])
def test_capturing_twice_takes_the_amount_once(case: Case, second_key: str) -> None:
    held = case.authorize()
    first = case.client.capture(held.id, **case.once("c"))
    assert case.client.capture(held.id, **case.once(second_key)) == first
    assert case.rig.effects() == ["authorized", "captured"]


def test_a_lost_answer_to_a_capture_is_unknown_and_the_capture_is_found(case: Case) -> None:
    held = case.authorize()
    case.rig.fault("capture", "drop-after")
    with pytest.raises(PartnerUnknown):
        case.client.capture(held.id, **case.once("c"))
    assert case.client.find_capture(held.id, timeout=10.0) is not None
    case.client.capture(held.id, **case.once("c"))
    assert case.rig.effects() == ["authorized", "captured"]


def test_a_lost_request_to_capture_is_unknown_and_no_capture_is_found(case: Case) -> None:
    held = case.authorize()
    case.rig.fault("capture", "drop-before")
    with pytest.raises(PartnerUnknown):
        case.client.capture(held.id, **case.once("c"))
    assert case.client.find_capture(held.id, timeout=10.0) is None


def test_a_search_for_a_capture_that_fails_is_unavailable(case: Case) -> None:
    held = case.authorize()
    case.rig.fault_reading("find_capture")
    with pytest.raises(PartnerUnavailable):
        case.client.find_capture(held.id, timeout=10.0)


@pytest.mark.parametrize("authorization_id", ["pi_nothing_there", ""])
def test_capturing_what_is_not_held_is_refused(case: Case, authorization_id: str) -> None:
    with pytest.raises(PartnerRefused):
        case.client.capture(authorization_id or _voided(case), **case.once("c"))
    assert "captured" not in case.rig.effects()


def test_no_capture_is_found_of_what_does_not_exist(case: Case) -> None:
    assert case.client.find_capture("pi_nothing_there", timeout=10.0) is None


def test_voiding_what_was_captured_is_refused(case: Case) -> None:
    held = case.authorize()
    case.client.capture(held.id, **case.once("c"))
    with pytest.raises(PartnerRefused):
        case.client.void(held.id, **case.once("v"))
    assert case.rig.effects() == ["authorized", "captured"]


@pytest.mark.parametrize("second_key", ["r", "another"])
def test_refunding_twice_gives_back_once(case: Case, second_key: str) -> None:
    held = case.authorize()
    case.client.capture(held.id, **case.once("c"))
    first = case.client.refund(held.id, **case.once("r"))
    assert first.amount == 1250
    assert case.client.refund(held.id, **case.once(second_key)) == first
    assert case.rig.effects() == ["authorized", "captured", "refunded"]


def test_a_part_of_what_is_held_is_captured_once_and_found(case: Case) -> None:
    held = case.authorize()
    taken = case.client.capture(held.id, amount=400, **case.once("c"))
    assert taken.amount == 400
    assert case.client.capture(held.id, amount=400, **case.once("another")) == taken
    assert case.client.find_capture(held.id, timeout=10.0) == taken
    assert case.rig.effects() == ["authorized", "captured"]


def test_more_than_is_held_cannot_be_captured(case: Case) -> None:
    held = case.authorize()
    with pytest.raises(PartnerRefused, match="amount_too_large"):
        case.client.capture(held.id, amount=1251, **case.once("c"))
    assert case.client.find_capture(held.id, timeout=10.0) is None


@pytest.mark.parametrize(("first", "second"), [(400, None), (400, 500), (None, 400)])
def test_where_another_amount_was_captured_it_is_not_said_to_be_what_was_wanted(
    case: Case, first: int | None, second: int | None
) -> None:
    held = case.authorize()
    case.client.capture(held.id, amount=first, **case.once("c"))
    with pytest.raises(PartnerUnknown, match=f"took {first or 1250}"):
        case.client.capture(held.id, amount=second, **case.once("another"))


def test_parts_are_given_back_each_once_and_never_more_than_was_captured(case: Case) -> None:
    held = case.authorize()
    case.client.capture(held.id, amount=1000, **case.once("c"))
    parts = [case.client.refund(held.id, amount=n, **case.once(f"r{n}")) for n in (100, 200)]
    assert [part.amount for part in parts] == [100, 200]
    assert case.client.refund(held.id, amount=100, **case.once("r100")) == parts[0]
    with pytest.raises(PartnerRefused):
        case.client.refund(held.id, amount=701, **case.once("r701"))
    assert case.client.refund(held.id, **case.once("rest")).amount == 700
    assert case.rig.effects() == ["authorized", "captured"] + 3 * ["refunded"]


def test_a_refund_is_found_by_its_key(case: Case) -> None:
    held = case.authorize()
    case.client.capture(held.id, **case.once("c"))
    keys = [str(case.once(name)["key"]) for name in ("first", "second")]
    parts = [
        case.client.refund(held.id, amount=100 + n, key=key, timeout=10.0)
        for n, key in enumerate(keys)
    ]
    for key, part in zip(keys, parts, strict=True):
        assert case.client.find_refund(held.id, key, timeout=10.0) == part
    assert case.client.find_refund(held.id, "k-nobody", timeout=10.0) is None
    assert case.client.find_refund("pi_nothing_there", keys[0], timeout=10.0) is None


def test_there_is_nothing_to_refund_of_what_was_not_captured(case: Case) -> None:
    held = case.authorize()
    assert case.client.refund(held.id, **case.once("r")) is None
    assert case.client.refund("pi_nothing_there", **case.once("r2")) is None
    assert case.rig.effects() == ["authorized"]


def test_the_newest_authorization_of_a_reference_is_found(case: Case) -> None:
    _voided(case)
    second = case.authorize(key="second")
    assert (
        case.client.find_authorization(case.rig.reference, since=RECENTLY, timeout=10.0) == second
    )


# --- customers and subscriptions --------------------------------------------------------------


def _subscribed(case: Case) -> tuple[str, str]:
    customer = case.client.create_customer(
        "ann@example.com", "Ann", case.rig.reference, **case.once("cus")
    )
    subscription = case.client.create_subscription(
        customer.id, "price_basic", case.rig.reference, **case.once("sub")
    )
    assert subscription.customer == customer.id
    return customer.id, subscription.id


def test_a_customer_of_another_address_is_not_found(case: Case) -> None:
    _subscribed(case)
    assert case.client.find_customer("bob@example.com", case.rig.reference, timeout=10.0) is None


def test_a_subscription_can_be_read_also_when_it_is_over(case: Case) -> None:
    customer, subscription = _subscribed(case)
    found = case.client.read_subscription(subscription, timeout=10.0)
    expected = SubscriptionState(id=subscription, customer=customer, status="active")
    assert found == expected
    case.client.cancel_subscription(subscription, **case.once("c"))
    found = case.client.read_subscription(subscription, timeout=10.0)
    assert found == expected.model_copy(update={"status": "canceled"})
    assert case.client.read_subscription("sub_nothing", timeout=10.0) is None


def test_a_forgotten_customer_subscribes_to_nothing_any_more(case: Case) -> None:
    customer, subscription = _subscribed(case)
    case.client.delete_customer(customer, **case.once("d"))
    assert case.client.find_subscription(customer, case.rig.reference, timeout=10.0) is None
    case.client.cancel_subscription(subscription, **case.once("c"))
    assert case.rig.effects() == [
        "customer_created",
        "subscription_created",
        "customer_deleted",
        "subscription_canceled",
    ]


def test_only_somebody_can_subscribe_and_only_to_what_has_a_price(case: Case) -> None:
    customer, _ = _subscribed(case)
    for who, what in (("cus_nobody", "price_basic"), (customer, "prod_without_price")):
        with pytest.raises(PartnerRefused, match="resource_missing"):
            case.client.create_subscription(who, what, case.rig.reference, **case.once(who))


def test_nobody_subscribes_to_nothing(case: Case) -> None:
    assert case.client.find_subscription("cus_nobody", case.rig.reference, timeout=10.0) is None


# --- helpers ----------------------------------------------------------------------------------


def _voided(case: Case) -> str:
    held = case.authorize()
    case.client.void(held.id, **case.once("v"))
    return held.id

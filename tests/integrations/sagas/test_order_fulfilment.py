from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from integrations.errors import PartnerRefused, PartnerUnavailable, PartnerUnknown
from integrations.payments import Authorization
from integrations.sagas.order_fulfilment import Order, order_fulfilment
from integrations.shipping import Label
from sagas.api import NotApplied, Refused, RetryLater, Step, Unknown
from sagas.define.step import Kind
from sagas.testing import given
from tests.integrations.sagas.rig import Partners, an_order, fake_partners, run_of

STEPS = list(order_fulfilment.steps.values())
UNDOABLE = [step for step in STEPS if step.compensation]
MADE = {
    "reserve_stock": ["reserved"],
    "authorize_payment": ["authorized"],
    "capture_payment": ["authorized", "captured"],
    "book_courier": ["courier_booked"],
    "print_label": ["label_printed"],
    "notify_customer": ["sent"],
}
UNDONE = {"reserve_stock": "released", "authorize_payment": "voided"}

each_step = pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
each_undoable_step = pytest.mark.parametrize("step", UNDOABLE, ids=lambda step: step.name)


@pytest.fixture
def partners() -> Iterator[Partners]:
    with fake_partners() as partners:
        yield partners


@pytest.fixture
def order() -> Order:
    return an_order()


Earlier = Callable[[Step], dict[str, Any]]


@pytest.fixture
def earlier(partners: Partners, order: Order) -> Earlier:
    """The results that a step builds on."""

    def results(step: Step) -> dict[str, Any]:
        if step.name == "capture_payment":
            authorize = order_fulfilment.steps["authorize_payment"].action
            return {"authorize_payment": authorize(run_of(order, key="earlier"))}
        label = Label(id="lbl_1", reference="r", tracking_number="trk_1")
        return {"print_label": label} if step.name == "notify_customer" else {}

    return results


# --- steps -----------------------------------------------------------------------------------


@each_step
def test_a_step_has_its_effect_once_under_the_runs_keys(
    step: Step, partners: Partners, order: Order, earlier: Earlier
) -> None:
    run = run_of(order, **earlier(step))
    step.result_type.validate_python(step.action(run))
    assert partners.effects() == MADE[step.name]
    effect = next(fake.effects[-1] for fake in partners.all if fake.effects)
    assert (effect.key, effect.reference) == ("k", run.business_key)


@each_step
def test_a_step_that_is_not_known_to_have_happened_is_found_or_found_missing(
    step: Step, partners: Partners, order: Order, earlier: Earlier
) -> None:
    run = run_of(order, **earlier(step))
    assert step.verifier is not None
    assert step.verifier(run) == NotApplied()
    made = step.action(run)
    assert step.verifier(run) == made
    assert partners.doubles() == []


@each_step
def test_no_partner_is_asked_when_no_time_is_left(
    step: Step, partners: Partners, order: Order, earlier: Earlier
) -> None:
    run = run_of(order, remaining=0.0, **earlier(step))
    before = partners.effects()
    for ask in (step.action, step.verifier):
        assert ask is not None
        with pytest.raises(PartnerUnavailable):
            ask(run)
    assert partners.effects() == before


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (
            {"amount": 1, "quantity": 99},
            "99 of 'mug' cost 1435.50 EUR, and the order says 0.01 EUR.",
        ),
        ({"currency": "jpy"}, "2 of 'mug' cost 29.00 EUR, and the order says 29.00 JPY."),
        ({"sku": "car"}, "'car' is not for sale."),
    ],
    ids=["amount", "currency", "product"],
)
def test_an_order_at_another_price_than_the_shops_is_refused_and_reserves_nothing(
    said: dict[str, Any], answer: str, partners: Partners, order: Order
) -> None:
    reserve = order_fulfilment.steps["reserve_stock"].action
    assert reserve(run_of(order.model_copy(update=said))) == Refused(answer)
    assert partners.effects() == []


@each_undoable_step
@pytest.mark.parametrize("known", [True, False], ids=["result known", "result not known"])
def test_an_effect_is_undone_whether_its_result_is_known_or_not(
    step: Step, known: bool, partners: Partners, order: Order
) -> None:
    made = step.action(run_of(order))
    assert step.compensation is not None
    run = run_of(order, key="undo", result=made if known else None)
    step.compensation.action(run)
    step.compensation.action(run)
    assert partners.effects() == [*MADE[step.name], UNDONE[step.name]]


@each_undoable_step
def test_there_may_be_nothing_to_undo(step: Step, partners: Partners, order: Order) -> None:
    assert step.compensation is not None
    assert step.compensation.tolerates_nothing
    step.compensation.action(run_of(order, key="undo"))
    assert partners.effects() == []


def test_undoing_leaves_the_effects_of_other_orders(partners: Partners, order: Order) -> None:
    other = order.model_copy(update={"order_id": "0"})
    for step in UNDOABLE:
        step.action(run_of(other, key=f"other {step.name}"))
        assert step.compensation is not None
        step.compensation.action(run_of(order, key="undo"))
    assert partners.effects() == ["reserved", "authorized"]


def test_a_declined_card_is_refused(partners: Partners, order: Order) -> None:
    declined = order.model_copy(update={"payment_method": "pm_card_chargeDeclined"})
    with pytest.raises(PartnerRefused):
        order_fulfilment.steps["authorize_payment"].action(run_of(declined))


def test_the_customer_reads_the_tracking_number(partners: Partners, order: Order) -> None:
    label = Label(id="lbl_1", reference="r", tracking_number="trk_77")
    order_fulfilment.steps["notify_customer"].action(run_of(order, print_label=label))
    (message,) = partners.notifications.messages
    assert message.to == "ann@example.com"
    assert "trk_77" in message.body


# --- the flow --------------------------------------------------------------------------------


HELD = Authorization(id="pi_1", amount=2900, currency="eur", reference="r")


def test_an_order_is_reserved_paid_sent_and_told(order: Order) -> None:
    given(order_fulfilment, order).expect(
        "succeeded",
        calls=[
            "do reserve_stock",
            "do authorize_payment",
            "do capture_payment",
            "do book_courier",
            "do print_label",
            "do notify_customer",
        ],
    )


def test_a_refused_card_releases_the_stock_and_voids_nothing(order: Order) -> None:
    given(order_fulfilment, order).when("authorize_payment", Refused("declined")).expect(
        "compensated",
        calls=["do reserve_stock", "do authorize_payment", "undo reserve_stock"],
    )


def test_a_refused_capture_turns_the_order_back(order: Order) -> None:
    given(order_fulfilment, order).when("capture_payment", Refused("expired")).expect(
        "compensated", undone=["authorize_payment", "reserve_stock"]
    )


def test_a_capture_whose_answer_was_lost_is_looked_up_and_not_repeated(order: Order) -> None:
    scenario = given(order_fulfilment, order).when("capture_payment", Unknown("no answer"))
    scenario.when_verifying("capture_payment", {"id": "pi_1", "amount": 2900}).expect("succeeded")
    assert scenario.calls.count("do capture_payment") == 1


def test_a_capture_that_nobody_can_answer_for_needs_a_person(order: Order) -> None:
    scenario = given(order_fulfilment, order).when("capture_payment", Unknown("no answer"))
    scenario.when_verifying("capture_payment", Unknown("still none")).expect("needs_attention")


def test_an_authorization_that_nobody_can_answer_for_is_voided(order: Order) -> None:
    scenario = given(order_fulfilment, order).when("authorize_payment", Unknown("no answer"))
    scenario.when_verifying("authorize_payment", Unknown("still none"))
    scenario.expect("compensated", undone=["authorize_payment", "reserve_stock"])


@pytest.mark.parametrize("step", ["book_courier", "print_label"])
def test_the_carrier_is_asked_until_it_answers(step: str, order: Order) -> None:
    scenario = given(order_fulfilment, order)
    scenario.when(step, *[RetryLater("closed")] * 50, None).expect("succeeded")
    assert scenario.calls.count(f"do {step}") == 51


@pytest.mark.parametrize("step", ["book_courier", "print_label"])
def test_a_paid_order_that_the_carrier_refuses_needs_a_person(step: str, order: Order) -> None:
    given(order_fulfilment, order).when(step, Refused("not served")).expect("needs_attention")


def test_an_order_succeeds_though_the_mailbox_takes_no_mail(order: Order) -> None:
    given(order_fulfilment, order).when("notify_customer", Refused("550")).expect("succeeded")


def test_a_mail_server_that_is_away_is_tried_for_a_day_and_not_longer(order: Order) -> None:
    scenario = given(order_fulfilment, order).when("notify_customer", RetryLater("away"))
    scenario.expect("succeeded")
    assert 200 < scenario.calls.count("do notify_customer") < 2000


def test_partners_errors_mean_what_they_say() -> None:
    for step in STEPS:
        errors = order_fulfilment.errors_of(step)
        assert errors.refused == (PartnerRefused,)
        assert errors.meaning(PartnerUnavailable) is RetryLater
        assert errors.unknown == (PartnerUnknown,)


def test_the_capture_is_the_point_of_no_return() -> None:
    kinds = {step.name: step.kind for step in STEPS}
    assert kinds["capture_payment"] is Kind.PIVOT
    assert {n for n, k in kinds.items() if k is Kind.COMPENSATABLE} == set(UNDONE)


# --- the payload -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", "two words@example.com"),
        ("email", "ann@example.com\nBcc: all@example.com"),
        ("address", ""),
        ("quantity", 0),
        ("quantity", 100),
        ("amount", 0),
        ("amount", 100_000_000),
        ("currency", "EUR"),
        ("payment_method", "4242424242424242"),
        ("card_number", "4242424242424242"),
    ],
)
def test_an_order_that_cannot_be_fulfilled_is_refused(
    field: str, value: object, order: Order
) -> None:
    with pytest.raises(ValidationError):
        Order.model_validate({**order.model_dump(), field: value})

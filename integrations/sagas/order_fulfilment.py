"""Order fulfilment: reserve the stock, take the money, send the parcel, tell the customer."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from django.urls import reverse
from pydantic import BaseModel, ConfigDict, Field

from integrations import inventory, notifications, payments, shipping
from integrations.catalogue import CATALOGUE, CURRENCY, price
from integrations.sagas.outcomes import PARTNER_ERRORS
from sagas.api import NotApplied, Redacted, Refused, Retry, Run, Saga, parallel, pivot, step

A_DAY = 24 * 3600.0


class Order(BaseModel):
    """What a customer ordered. The payment method is a token of the partner's, never a card."""

    model_config = ConfigDict(extra="forbid")

    order_id: UUID
    email: Annotated[str, Redacted, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    address: Annotated[str, Redacted, Field(min_length=1, max_length=500)]
    sku: Annotated[str, Field(min_length=1, max_length=40)]
    quantity: Annotated[int, Field(ge=1, le=99)]
    amount: Annotated[int, Field(ge=1, le=99_999_999, description="in the smallest unit")]
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]
    payment_method: Annotated[str, Field(pattern=r"^pm_[A-Za-z0-9_]{1,100}$")]


def order_page(business_key: str) -> str:
    """The address of the order's page in the shop."""
    return reverse("shop:order", args=[business_key.removeprefix("order:")])


def order_title(order: Order) -> str:
    """What was ordered, and for how much."""
    return f"{order.quantity} × {order.sku}, {price(order.amount, order.currency)}"


# Reserve the stock. Whoever starts runs may have written any amount: the shop's prices count.


@step(partner="inventory", retry=Retry(attempts=5), timeout=10)
def reserve_stock(run: Run[Order]) -> inventory.Reservation | Refused:
    """Hold the ordered quantity, so that nobody pays for what is sold out, or another price."""
    order = run.payload
    if wrong := _wrong_price(order):
        return Refused(wrong)
    return inventory.connector().reserve(
        order.sku, order.quantity, run.business_key, key=run.key, timeout=run.remaining
    )


def _wrong_price(order: Order) -> str:
    product = CATALOGUE.get(order.sku)
    if product is None:
        return f"{order.sku!r} is not for sale."
    cost = product.cost(order.quantity)
    if (order.amount, order.currency) == (cost, CURRENCY):
        return ""
    asked = price(order.amount, order.currency)
    return f"{order.quantity} of {order.sku!r} cost {price(cost)}, and the order says {asked}."


@reserve_stock.verify
def find_reservation(run: Run[Order]) -> inventory.Reservation | NotApplied:
    """Ask the warehouse whether it holds the stock."""
    held = inventory.connector().find(run.business_key, run.key, timeout=run.remaining)
    return held or NotApplied()


@reserve_stock.compensate(timeout=10, tolerates_nothing=True)
def release_stock(run: Run[Order]) -> None:
    """Give the stock back, also if only the warehouse knows that it holds any."""
    warehouse = inventory.connector()
    held = run.result or warehouse.find(run.business_key, timeout=run.remaining)
    if held:
        warehouse.release(held.id, key=run.key, timeout=run.remaining)


# Take the money: first hold the amount, which can be let go, then capture it, which cannot.


@step(partner="payments", retry=Retry(attempts=5), timeout=10)
def authorize_payment(run: Run[Order]) -> payments.Authorization:
    """Hold the amount on the customer's card."""
    order = run.payload
    return payments.connector().authorize(
        order.amount,
        order.currency,
        order.payment_method,
        run.business_key,
        key=run.key,
        timeout=run.remaining,
    )


@authorize_payment.verify
def find_authorization(run: Run[Order]) -> payments.Authorization | NotApplied:
    """Ask the payment partner whether it holds the amount."""
    held = payments.connector().find_authorization(
        run.business_key, run.key, since=run.started_at, timeout=run.remaining
    )
    return held or NotApplied()


@authorize_payment.compensate(timeout=10, tolerates_nothing=True)
def void_payment(run: Run[Order]) -> None:
    """Let the amount go, also if only the payment partner knows that it holds any."""
    partner = payments.connector()
    held = run.result or partner.find_authorization(
        run.business_key, since=run.started_at, timeout=run.remaining
    )
    if held:
        partner.void(held.id, key=run.key, timeout=run.remaining)


@step(partner="payments", retry=Retry(attempts=5), timeout=10)
def capture_payment(run: Run[Order]) -> payments.Capture:
    """Take the amount that is held: from here on the parcel must be sent."""
    held = run.results["authorize_payment"]
    return payments.connector().capture(held.id, key=run.key, timeout=run.remaining)


@capture_payment.verify
def find_capture(run: Run[Order]) -> payments.Capture | NotApplied:
    """Ask the payment partner whether it took the amount."""
    held = run.results["authorize_payment"]
    return payments.connector().find_capture(held.id, timeout=run.remaining) or NotApplied()


# Send the parcel. It is paid for, so both are tried until they work.


@step(partner="shipping", timeout=10)
def book_courier(run: Run[Order]) -> shipping.Booking:
    """Have a courier fetch the parcel."""
    return shipping.connector().book_courier(
        run.payload.address, run.business_key, key=run.key, timeout=run.remaining
    )


@book_courier.verify
def find_courier(run: Run[Order]) -> shipping.Booking | NotApplied:
    """Ask the carrier whether a courier is booked."""
    booked = shipping.connector().find_courier(run.business_key, run.key, timeout=run.remaining)
    return booked or NotApplied()


@step(partner="shipping", timeout=10)
def print_label(run: Run[Order]) -> shipping.Label:
    """Print the parcel's label, which carries its tracking number."""
    return shipping.connector().print_label(
        run.payload.address, run.business_key, key=run.key, timeout=run.remaining
    )


@print_label.verify
def find_label(run: Run[Order]) -> shipping.Label | NotApplied:
    """Ask the carrier whether the label is printed."""
    printed = shipping.connector().find_label(run.business_key, run.key, timeout=run.remaining)
    return printed or NotApplied()


# Tell the customer. A mailbox that takes no mail must not hold up an order that is on its way.


@step(
    partner="notifications",
    retry=Retry(attempts=None, cap=300, total=A_DAY),
    timeout=10,
    optional=True,
)
def notify_customer(run: Run[Order]) -> notifications.Sent:
    """Mail the tracking number."""
    label = run.results["print_label"]
    return notifications.connector().send(
        run.payload.email,
        "Your order is on its way",
        f"Thank you for your order.\nYour parcel's tracking number is {label.tracking_number}.\n",
        run.business_key,
        key=run.key,
        timeout=run.remaining,
    )


@notify_customer.verify
def find_mail(run: Run[Order]) -> notifications.Sent | NotApplied:
    """Ask the mail partner whether it took the mail: a mail server would take it twice."""
    return notifications.connector().find(run.key, timeout=run.remaining) or NotApplied()


order_fulfilment = Saga(
    "order-fulfilment",
    payload=Order,
    errors=PARTNER_ERRORS,
    steps=[
        reserve_stock,
        authorize_payment,
        pivot(capture_payment),
        parallel(book_courier, print_label),
        notify_customer,
    ],
    about=order_page,
    title=order_title,
)

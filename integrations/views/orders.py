"""Ordering, watching an order, and the staff's list of orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.admin.views.decorators import staff_member_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from integrations.forms import OrderForm
from integrations.models import Order, key_of
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.views.pages import CustomerPages, SentBefore
from integrations.views.wording import ORDER
from sagas.api import start

LISTED = 50
"""How many orders the staff's list shows."""


class OrderPages(CustomerPages[OrderForm]):
    """An order is a row of ours, written with its run; its page shows what was ordered."""

    def begin(self, form: OrderForm) -> tuple[UUID, bool]:
        """Place the order, or find the one that the same form placed before."""
        order, new = place(form.order)
        if order.details() != form.order.details():
            raise SentBefore(order.pk)
        return order.pk, new

    def about(self, number: UUID) -> Mapping[str, Any]:
        """What was ordered."""
        return {"order": get_object_or_404(Order, pk=number)}


PAGES = OrderPages(
    order_fulfilment,
    key_of,
    route="shop:order",
    form=OrderForm,
    wording=ORDER,
    template="integrations/order.html",
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def shop(request: HttpRequest) -> HttpResponse:
    """Show the order form; take a filled-in one and lead to its order."""
    return PAGES.form_page(request)


def place(order: Order) -> tuple[Order, bool]:
    """Write the order and start its saga, both or neither; give back the order that counts.

    That is an earlier one, and not new, if the same form was sent before.
    """
    with transaction.atomic():
        kept, created = Order.objects.get_or_create(
            submission=order.submission, defaults=order.details()
        )
        if created:
            start(order_fulfilment, kept.payload(), key=kept.key)
    return kept, created


@never_cache
@require_safe
@staff_member_required
def orders(request: HttpRequest) -> HttpResponse:
    """The last orders, for the staff."""
    return render(
        request,
        "integrations/orders.html",
        {"orders": Order.objects.with_status()[:LISTED], "listed": LISTED},
    )

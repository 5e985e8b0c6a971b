"""Ordering, watching an order, and the staff's list of orders."""

from __future__ import annotations

from uuid import UUID

from django.contrib.admin.views.decorators import staff_member_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from integrations.forms import OrderForm
from integrations.models import SAGA, Order, key_of
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.views.watching import changed, watched
from integrations.views.wording import ORDER
from sagas.api import start
from sagas.models import Run

LISTED = 50
"""How many orders the staff's list shows."""


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def shop(request: HttpRequest) -> HttpResponse:
    """Show the order form; take a filled-in one and lead to its order."""
    if request.method != "POST":
        return _form_page(request, OrderForm())
    form = OrderForm(request.POST)
    if not form.is_valid():
        return _form_page(request, form, status=400)
    order = place(form.order)
    if order.details() != form.order.details():
        return _form_page(request, form.again(), status=409, earlier=order)
    return redirect("shop:order", order.pk)


def place(order: Order) -> Order:
    """Write the order and start its saga, both or neither; give back the order that counts.

    That is an earlier one if the same form was sent before.
    """
    with transaction.atomic():
        kept, created = Order.objects.get_or_create(
            submission=order.submission, defaults=order.details()
        )
        if created:
            start(order_fulfilment, kept.payload(), key=kept.key)
    return kept


@require_safe
def order_page(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """One order and how it stands, for whoever has the link."""
    order = get_object_or_404(Order, pk=order_id)
    context = {
        "order": order,
        "page_url": reverse("shop:order", args=[order_id]),
        "progress_url": reverse("shop:progress", args=[order_id]),
    }
    return watched(request, _run_of(order_id), ORDER, "integrations/order.html", context)


@require_safe
def progress(request: HttpRequest, order_id: UUID) -> HttpResponse:
    """How an order stands, as the part of its page that changes; 304 while it has not."""
    return changed(request, _run_of(order_id), ORDER)


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


def _form_page(
    request: HttpRequest, form: OrderForm, *, status: int = 200, earlier: Order | None = None
) -> HttpResponse:
    context = {"form": form, "earlier": earlier}
    return render(request, "integrations/shop.html", context, status=status)


def _run_of(order_id: UUID) -> Run:
    return get_object_or_404(Run, saga=SAGA, business_key=key_of(order_id))

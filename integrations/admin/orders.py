"""Orders in the admin: to read, since an order is written once."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from integrations.models import SAGA, Order
from sagas.admin.panel import SagaPanel


@admin.register(Order)
class OrderAdmin(SagaPanel):
    """The shop's orders with the status of their runs."""

    saga_names = (SAGA,)
    list_display = ("created_at", "id", "sku", "quantity", "total", "email", "fares")
    list_filter = ("sku",)
    search_fields = ("=id", "=email")
    date_hierarchy = "created_at"

    def saga_key(self, obj: Order) -> str:
        return obj.key

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        return Order.objects.with_status()

    @admin.display(description="status", ordering="run_status")
    def fares(self, order: Order) -> str:
        return order.status_words

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Order | None = None) -> bool:
        return False

"""Signals: those that a step took, and those that none has waited for yet."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, pretty, run_link, sees_all
from sagas.admin.shown import shown
from sagas.models import Signal
from sagas.operate import reveal
from sagas.operate.access import Right, scope


@admin.register(Signal)
class SignalAdmin(HistoryAdmin):
    """Signals with the runs that took them."""

    list_display = ("named", "saga", "correlated", "received_at", "taken_at", "run_page")
    list_filter = (("taken_at", admin.EmptyFieldListFilter),)
    list_select_related = ("taken_by",)
    large = ("payload", "taken_by__result")
    search_fields = ("=correlation",)
    search_help_text = "a whole correlation"
    ordering = ("-id",)
    fields = (
        *("named", "saga", "correlated", "deduplicated", "received_at", "expires_at", "taken_at"),
        *("run_page", "document"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Those that a run took which one may see, and those that none has taken yet."""
        rows = super().get_queryset(request)
        names = scope(request.user, Right.READ)
        if names is None:
            return rows
        return rows.filter(Q(taken_by=None) | Q(taken_by__run__saga__in=sorted(names)))

    def saga_of(self, row: Signal) -> str:
        return row.taken_by.run.saga if row.taken_by is not None else ""

    @admin.display(description="name", ordering="name")
    def named(self, signal: Signal) -> SafeString:
        return shown(signal.name)

    @admin.display(description="correlation", ordering="correlation")
    def correlated(self, signal: Signal) -> SafeString:
        return shown(signal.correlation)

    @admin.display(description="deduplication id")
    def deduplicated(self, signal: Signal) -> SafeString:
        return shown(signal.deduplication_id or "")

    @admin.display(description="taken by")
    def run_page(self, signal: Signal) -> SafeString | str:
        if signal.taken_by is None:
            return "no step yet"
        return run_link(signal.taken_by.run_id, signal.taken_by)

    @admin.display(description="payload")
    def document(self, signal: Signal) -> SafeString:
        return pretty(
            reveal.signal(signal.name, signal.saga, signal.payload, reveal=sees_all(signal))
        )

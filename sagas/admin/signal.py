"""Signals: those that a step took, and those that none has waited for yet."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, pretty, run_link
from sagas.models import Signal


@admin.register(Signal)
class SignalAdmin(HistoryAdmin):
    """Signals with the runs that took them."""

    list_display = ("name", "correlation", "received_at", "taken_at", "run_page")
    list_filter = (("taken_at", admin.EmptyFieldListFilter),)
    list_select_related = ("taken_by",)
    large = ("payload", "taken_by__result")
    search_fields = ("=correlation",)
    search_help_text = "a whole correlation"
    ordering = ("-id",)
    fields = (
        *("name", "correlation", "deduplication_id", "received_at", "taken_at", "run_page"),
        "document",
    )
    readonly_fields = fields

    @admin.display(description="taken by")
    def run_page(self, signal: Signal) -> SafeString | str:
        if signal.taken_by is None:
            return "no step yet"
        return run_link(signal.taken_by.run_id, signal.taken_by)

    @admin.display(description="payload")
    def document(self, signal: Signal) -> SafeString:
        return pretty(signal.payload)

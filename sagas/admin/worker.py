"""The workers that beat, and those whose leases are over."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import BooleanField, Case, QuerySet, Value, When
from django.db.models.functions import Now
from django.http import HttpRequest

from sagas.admin.history import HistoryAdmin
from sagas.models import Worker


@admin.register(Worker)
class WorkerAdmin(HistoryAdmin):
    """Workers, the ones that live first. One that shut down in order is not listed."""

    list_display = ("name", "alive", "host", "pid", "started_at", "beat_at")
    search_fields = ("name", "host")
    search_help_text = "a part of a worker's name or host"
    ordering = ("-lease_until",)
    fields = ("name", "alive", "host", "pid", "started_at", "beat_at", "lease_until")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """By the database's clock, which is the one that leases go by."""
        lives = When(lease_until__gte=Now(), then=Value(True))
        state = Case(lives, default=Value(False), output_field=BooleanField())
        workers: QuerySet[Any] = super().get_queryset(request).annotate(lives=state)
        return workers

    @admin.display(boolean=True, description="alive", ordering="lease_until")
    def alive(self, worker: Worker) -> bool:
        return bool(getattr(worker, "lives", False))

"""Runs, each with its steps and what happened to them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, ReadOnly, moment, pretty
from sagas.define import registry
from sagas.models import Event, Run, Step

_EVENTS = 500


class SagaFilter(admin.SimpleListFilter):
    """By saga, from the code: the names in the table would have to be searched for."""

    title = "saga"
    parameter_name = "saga"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in dict.fromkeys(s.name for s in registry.all_sagas())]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        known = dict(self.lookup_choices)
        return queryset.filter(saga=self.value()) if self.value() in known else queryset


class StepInline(ReadOnly, admin.TabularInline[Step, Run]):
    """A run's steps, compensations after the steps that they undo."""

    model = Step
    fields = ("name", "direction", "status", "attempt", "due_at", "finished_at", "error")
    readonly_fields = fields
    ordering = ("-direction", "position")
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        return super().get_queryset(request).defer("result")


class EventInline(ReadOnly, admin.TabularInline[Event, Run]):
    """What happened to a run, the oldest first; of very long histories the newest part."""

    model = Event
    verbose_name_plural = f"events (the newest {_EVENTS} at most)"
    fields = ("time", "step", "direction", "old", "new", "attempt", "epoch", "worker", "details")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        events = super().get_queryset(request)
        where = request.resolver_match
        run_id = _uuid(where.kwargs["object_id"]) if where is not None else None
        newest = Event.objects.filter(run=run_id).order_by("-id").values("id")[:_EVENTS]
        return events.filter(id__in=newest)

    @admin.display(description="at (UTC)")
    def time(self, event: Event) -> str:
        return moment(event.at)

    @admin.display(description="data")
    def details(self, event: Event) -> str:
        return json.dumps(event.data, ensure_ascii=False) if event.data else ""


@admin.register(Run)
class RunAdmin(HistoryAdmin):
    """Finds runs by business key or id, and shows one with everything that happened to it."""

    list_display = ("business_key", "saga", "status", "created_at", "duration")
    list_filter = ("status", SagaFilter)
    search_fields = ("business_key",)
    search_help_text = "a whole run id, or the beginning of a business key"
    large = ("payload",)
    inlines = (StepInline, EventInline)
    fields = (
        *("id", "saga", "version", "fingerprint", "business_key", "status", "attention", "halt"),
        *("created_at", "started_at", "finished_at", "duration", "deadline_at"),
        *("epoch", "revision", "document"),
    )
    readonly_fields = fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        run_id = _uuid(term)
        if run_id is not None:
            return queryset.filter(id=run_id), False
        return queryset.filter(business_key__startswith=term), False

    @admin.display(description="duration")
    def duration(self, run: Run) -> str:
        if run.finished_at is None:
            return "not over"
        return f"{(run.finished_at - run.created_at).total_seconds():.2f} s"

    @admin.display(description="payload")
    def document(self, run: Run) -> SafeString:
        return pretty(run.payload)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None

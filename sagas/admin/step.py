"""Steps of all runs, to be searched for what is stuck."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from sagas.admin.badge import badge
from sagas.admin.history import HistoryAdmin, pretty, run_link, sees_all
from sagas.admin.shown import line, shown
from sagas.define.title import title
from sagas.models import Step
from sagas.operate import reveal
from sagas.operate.undone import UNDONE
from sagas.states import Direction, StepStatus


@admin.register(Step)
class StepAdmin(HistoryAdmin):
    """Steps with their runs."""

    class Media:
        css: ClassVar = {"all": ("sagas/states.css",)}

    saga_field = "run__saga"
    list_display = ("title", "state", "attempt", "due_at", "run_page")
    list_filter = ("status", "direction")
    list_select_related = ("run",)
    large = ("result", "run__payload", "run__amended")
    search_fields = ("=name",)
    search_help_text = "a step's whole name"
    ordering = ("-id",)
    fields = (
        *("run_page", "title", "position", "state", "attempt", "tries", "probes"),
        *("losses", "in_doubt", "doubted", "generation", "waited", "due_at", "limit_at"),
        *("worker", "pid", "awaited", "correlated", "document", "failure"),
        *("started_at", "finished_at"),
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        undo = Step.objects.filter(
            run=OuterRef("run"),
            name=OuterRef("name"),
            direction=Direction.BACKWARD,
            status=StepStatus.SUCCEEDED,
        )
        rows: QuerySet[Any] = super().get_queryset(request)
        known: QuerySet[Any] = rows.annotate(was_undone=Exists(undo))
        return known

    def called(self, row: Any) -> str:
        return line(title(row.name, row.direction))

    @admin.display(description="step", ordering="name")
    def title(self, step: Step) -> SafeString:
        return shown(title(step.name, step.direction), 100)

    @admin.display(description="state", ordering="status")
    def state(self, step: Any) -> SafeString:
        happened = step.direction == Direction.FORWARD and step.status == StepStatus.SUCCEEDED
        return badge(UNDONE if happened and step.was_undone else step.status)

    @admin.display(description="run")
    def run_page(self, step: Step) -> SafeString:
        return run_link(step.run_id, step.run)

    def saga_of(self, row: Step) -> str:
        return row.run.saga

    @admin.display(description="signal")
    def awaited(self, step: Step) -> SafeString:
        return shown(step.signal)

    @admin.display(description="correlation")
    def correlated(self, step: Step) -> SafeString:
        return shown(step.correlation)

    @admin.display(description="result")
    def document(self, step: Step) -> SafeString:
        return pretty(reveal.result(step.run, step, step.result, reveal=sees_all(step)))

    @admin.display(description="error")
    def failure(self, step: Step) -> SafeString:
        return shown(step.error)

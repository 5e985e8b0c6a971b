"""Steps of all runs, to be searched for what is stuck."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from sagas.admin import reveal
from sagas.admin.history import HistoryAdmin, pretty, run_link, sees_all
from sagas.admin.shown import shown
from sagas.models import Step


@admin.register(Step)
class StepAdmin(HistoryAdmin):
    """Steps with their runs."""

    saga_field = "run__saga"
    list_display = ("name", "direction", "status", "attempt", "due_at", "run_page")
    list_filter = ("status", "direction")
    list_select_related = ("run",)
    large = ("result", "run__payload", "run__amended")
    search_fields = ("=name",)
    search_help_text = "a step's whole name"
    ordering = ("-id",)
    fields = (
        *("run_page", "name", "direction", "position", "status", "attempt", "tries", "probes"),
        *("losses", "in_doubt", "generation", "waited", "due_at", "limit_at"),
        *("worker", "pid", "awaited", "correlated", "document", "failure"),
        *("started_at", "finished_at"),
    )
    readonly_fields = fields

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

"""Everything that happened, the newest first."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from sagas.admin.history import HistoryAdmin, moment, pretty, run_link, sees_all
from sagas.models import Event, Run
from sagas.operate import reveal


@admin.register(Event)
class EventAdmin(HistoryAdmin):
    """Events with their runs."""

    saga_field = "run__saga"
    list_display = ("time", "run_page", "step", "direction", "old", "new", "attempt", "worker")
    list_filter = ("direction",)
    ordering = ("-id",)
    fields = (
        *("time", "run_page", "step", "direction", "old", "new", "attempt", "epoch", "worker"),
        "document",
    )
    readonly_fields = fields

    @admin.display(description="at (UTC)")
    def time(self, event: Event) -> str:
        return moment(event.at)

    @admin.display(description="run")
    def run_page(self, event: Event) -> SafeString:
        # By its id: no constraint keeps the run of an event there.
        return run_link(event.run_id, event.run_id)

    @admin.display(description="data")
    def document(self, event: Event) -> SafeString:
        return pretty(reveal.loose(event.data, reveal=sees_all(event)))

    def saga_of(self, row: Event) -> str:
        """Of its run, which may be gone."""
        return Run.objects.filter(pk=row.run_id).values_list("saga", flat=True).first() or ""

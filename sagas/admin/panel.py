"""A panel for the admin of any model: the runs that are about the object on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from sagas.admin.badge import badge
from sagas.admin.history import run_link
from sagas.admin.run_page.words import age, length
from sagas.admin.shown import line, shown
from sagas.models import Run
from sagas.operate.access import Right, visible

_MOST = 20


class SagaPanel(admin.ModelAdmin[Any]):
    """A ModelAdmin, or a part of one, whose objects' pages show the objects' runs.

    The newest come first, and only those who may see runs see any.

    Attributes:
        saga_names: only runs of these sagas; empty: of any.
    """

    saga_names: Sequence[str] = ()

    def saga_key(self, obj: Any) -> str:
        """The business key of an object's runs; to be written by whoever uses the panel."""
        raise NotImplementedError

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return [*fields, *self._panels(request, obj)]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        panels: list[Any] = self._panels(request, obj)
        own = [
            (title, {**options, "fields": [f for f in options["fields"] if f not in panels]})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [*own, *(("Sagas", {"fields": [panel]}) for panel in panels)]

    def _panels(self, request: HttpRequest, obj: Any) -> list[_Panel]:
        if obj is None or not request.user.has_perm(Right.READ):
            return []
        return [_Panel(self, request.user)]


@dataclass(frozen=True)
class _Panel:
    """The read-only field that shows the runs: Django calls it with the object."""

    page: SagaPanel
    user: Any
    __name__ = "saga_runs"
    short_description = "runs"

    def __call__(self, obj: Any) -> SafeString:
        rows = [_row(run) for run in self._runs(obj)]
        return render_to_string("admin/sagas/panel.html", {"runs": rows})

    def _runs(self, obj: Any) -> list[Run]:
        runs = Run.objects.filter(business_key=self.page.saga_key(obj))
        if self.page.saga_names:
            runs = runs.filter(saga__in=self.page.saga_names)
        found = visible(self.user, runs).defer("payload", "amended").annotate(now=Now())
        return list(found.order_by("-id")[:_MOST])


def _row(run: Run) -> dict[str, Any]:
    over = run.finished_at is not None
    end = run.finished_at or run.now  # type: ignore[attr-defined]  # annotated
    seconds = (end - run.created_at).total_seconds()
    return {
        "link": run_link(run.pk, line(run.saga)),
        "badge": badge(run.status),
        "age": f"took {length(seconds)}" if over else f"for {age(seconds)}",
        "attention": shown(run.attention, 300) if run.attention else "",
    }

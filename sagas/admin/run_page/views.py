"""The addresses of the run's page: the page, its living parts, and the whole payload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from sagas.admin.back import came_from, list_of
from sagas.admin.living import living
from sagas.admin.run_page.facts import facts, newest_events, read
from sagas.admin.run_page.page import Parts, page
from sagas.admin.shown import as_json, line
from sagas.models import Run, Step
from sagas.operate import reveal
from sagas.operate.access import Right, within


class RunPages(admin.ModelAdmin[Run]):
    """Adds the page of one run to the admin of runs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:run_id>/live/", view(self.live), name="sagas_run_live"),
            path("<uuid:run_id>/payload/", view(self.payload), name="sagas_run_payload"),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of a run; one that is not there leads to the list."""
        if request.method not in ("GET", "HEAD"):
            raise PermissionDenied
        found = self._found(request, object_id)
        if found is None:
            return self._absent(request, object_id)
        run, steps = found
        document = Run.objects.only("saga", "version", "payload", "amended").get(pk=run.pk)
        parts = Parts(request, facts(request, run, steps))
        context = {
            **self.admin_site.each_context(request),
            "title": line(run),
            "opts": self.opts,
            "original": run,
            **page(request, parts, document),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/sagas/run/change_form.html", context)

    def live(self, request: HttpRequest, run_id: UUID) -> HttpResponseBase:
        """The living parts of the page; 304 while nothing that is to be seen has changed."""
        found = self._found(request, str(run_id))
        if found is None:
            raise Http404(f"No run has the id {run_id}.")
        parts = Parts(request, facts(request, *found))

        def draw() -> HttpResponse:
            context = {"live": parts.context(newest_events(run_id))}
            return render(request, "admin/sagas/run/live.html", context)

        return living(request, parts.etag, draw)

    def payload(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        """The whole payload as plain text to be kept, redacted like the page."""
        found = self._found(request, str(run_id))
        if found is None:
            raise Http404(f"No run has the id {run_id}.")
        run = Run.objects.get(pk=run_id)
        revealed = reveal.revealing(request.user, run.saga, run=run_id)
        shown = {"payload": reveal.payload(run, run.payload, reveal=revealed)}
        if run.amended is not None:
            shown["amended"] = reveal.payload(run, run.amended, reveal=revealed)
        response = HttpResponse(as_json(shown), content_type="text/plain; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="run-{run_id}.json.txt"'
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def _absent(self, request: HttpRequest, run_id: str) -> HttpResponse:
        text = f"No run has the id {line(run_id)}, or you may not see it. Archived runs are gone."
        messages.warning(request, text)
        return redirect(list_of(came_from(request)))

    def _found(self, request: HttpRequest, run_id: str) -> tuple[Run, Sequence[Step]] | None:
        """The run and its steps, if whoever asks may see them; None: there is no such run.

        Raises:
            PermissionDenied: they may not see runs at all. One of another saga than theirs is not
                there for them.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found = read(UUID(run_id))
        except ValueError:
            return None
        if found is None or not within(request.user, Right.READ, found[0].saga):
            return None
        return found

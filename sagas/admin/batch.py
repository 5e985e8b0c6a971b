"""Batches: what the trial found, how far they have come, and what became of each run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.batch_parts import Parts, batch_badge
from sagas.admin.history import HistoryAdmin, moment
from sagas.admin.living import living
from sagas.admin.shown import line
from sagas.errors import SagaError
from sagas.models import Approval, Batch
from sagas.operate.access import Right
from sagas.operate.approval import told_of
from sagas.operate.bulk import confirm_or_ask, discard, stop, visible_batches


@admin.register(Batch)
class BatchAdmin(HistoryAdmin):
    """Batches, the newest first; each with a page that follows it."""

    list_display = ("time", "what", "state", "matched", "who", "why")
    list_filter: ClassVar = ["status"]
    sortable_by = ()
    ordering = ("-id",)

    class Media:
        css = {"all": ("sagas/states.css", "sagas/batch.css")}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm(Right.READ) and super().has_view_permission(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        user: Any = request.user
        return super().get_queryset(request) & visible_batches(user)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        words = {"confirm": _CONFIRMED, "discard": _DISCARDED, "stop": _STOPPED}
        return [
            path("<uuid:batch_id>/live/", view(self.live), name="sagas_batch_live"),
            *(
                path(f"<uuid:batch_id>/{name}/", view(self._word(*how)), name=f"sagas_batch_{name}")
                for name, how in words.items()
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """The page of a batch; one that is not there leads to the list."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        batch = self._found(request, object_id)
        if batch is None:
            text = "There is no such batch, or you may not see it. A draft is removed after a day."
            messages.warning(request, text)
            return redirect("admin:sagas_batch_changelist")
        parts = Parts(request, batch)
        context = {
            **self.admin_site.each_context(request),
            **parts.frame(),
            "title": parts.title,
            "opts": self.opts,
            "original": batch,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name  # as the admin's own pages do
        return TemplateResponse(request, "admin/sagas/batch/change_form.html", context)

    def live(self, request: HttpRequest, batch_id: UUID) -> HttpResponseBase:
        """The living parts of the page; 304 while nothing that is to be seen has changed."""
        batch = self._found(request, str(batch_id))
        if batch is None:
            raise Http404("There is no such batch.")
        parts = Parts(request, batch)
        draw = partial(render, request, "admin/sagas/batch/live.html", {"live": parts})
        return living(request, parts.etag, draw)

    def _word(self, word: Callable[..., object], said: str, there: bool) -> Any:
        """A view that does something to a batch and leads back to a page that tells of it."""

        def view(request: HttpRequest, batch_id: UUID) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            try:
                done = word(batch_id, request.user)
                messages.success(request, told_of(done) if isinstance(done, Approval) else said)
            except (SagaError, PermissionDenied) as error:
                messages.error(request, str(error))
                return redirect("admin:sagas_batch_change", batch_id)
            if there:
                return redirect("admin:sagas_batch_change", batch_id)
            return redirect("admin:sagas_run_changelist")

        return view

    def _found(self, request: HttpRequest, batch_id: str) -> Batch | None:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found: Batch | None = self.get_queryset(request).filter(pk=batch_id).first()
        except (ValueError, ValidationError):
            return None
        return found

    @admin.display(description="tried at (UTC)")
    def time(self, batch: Batch) -> str:
        return moment(batch.created_at)

    @admin.display(description="verb")
    def what(self, batch: Batch) -> str:
        return line(batch.verb)

    @admin.display(description="state")
    def state(self, batch: Batch) -> SafeString:
        return batch_badge(batch)

    @admin.display(description="by")
    def who(self, batch: Batch) -> SafeString:
        return format_html("<bdi>{}</bdi>", line(batch.created_by))

    @admin.display(description="because")
    def why(self, batch: Batch) -> SafeString:
        return format_html("<bdi>{}</bdi>", line(batch.reason))


_CONFIRMED = (confirm_or_ask, "The batch was started.", True)
_DISCARDED = (discard, "The trial was thrown away. Nothing was done.", False)
_STOPPED = (stop, "The batch is stopped. What it had not done yet is left as it was.", True)

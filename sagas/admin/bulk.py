"""A verb for all runs that match the list's filter: chosen, told what it needs, and tried out."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode

from sagas.admin.bulk_form import BulkForm
from sagas.conf import conf
from sagas.errors import SagaError
from sagas.models import Batch, Run
from sagas.operate.access import Right, require
from sagas.operate.bulk import draft
from sagas.operate.catalogue import VERBS
from sagas.operate.verb import Verb


class BulkPages(admin.ModelAdmin[Run]):
    """Adds the page that acts on all that match to the admin of runs."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.bulk)
        return [path("bulk/", view, name="sagas_run_bulk"), *super().get_urls()]

    def bulk(self, request: HttpRequest) -> HttpResponse:
        """Choose a verb, ask what it must be told, and try it out when that is sent.

        The address is the list's with its filter; ``verb`` names the verb.
        """
        require(request.user, Right.READ)
        require(request.user, Right.BATCH)
        try:
            chosen: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            messages.error(request, "That filter means nothing; choose the runs again.")
            return redirect("admin:sagas_run_changelist")
        kind = VERBS.get(request.GET.get("verb", ""))
        if kind is None:
            return self._bulk_shown(request, chosen, None, None)
        if request.method != "POST":
            return self._bulk_shown(request, chosen, kind, BulkForm(kind, request.user))
        return self._bulk_tried(request, chosen, BulkForm(kind, request.user, request.POST))

    def _bulk_tried(self, request: HttpRequest, chosen: Any, form: BulkForm) -> HttpResponse:
        if form.is_valid() and not chosen.problems:
            try:
                return redirect(
                    "admin:sagas_batch_change", self._bulk_drafted(request, chosen, form).pk
                )
            except SagaError as error:
                form.add_error(None, str(error))
        return self._bulk_shown(request, chosen, form.kind, form)

    def _bulk_drafted(self, request: HttpRequest, chosen: Any, form: BulkForm) -> Batch:
        user: Any = request.user
        entered = form.cleaned_data
        return draft(
            chosen.queryset,
            form.instruction(),
            by=user,
            reason=entered["reason"],
            query=chosen.filter_query,
            rate=entered["rate"],
        )

    def _bulk_shown(
        self, request: HttpRequest, chosen: Any, kind: type[Verb] | None, form: BulkForm | None
    ) -> HttpResponse:
        title = f"{kind.label} all that match" if kind else "Do something to all that match"
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "cl": chosen,
            "limit": conf().BATCH_LIMIT,
            "verb": kind,
            "summary": kind.explained("") if kind else "",
            "verbs": [(v, _address(chosen, v)) for v in VERBS.values()],
            "form": form,
            "runs": f"{reverse('admin:sagas_run_changelist')}?{chosen.filter_query}",
        }
        request.current_app = self.admin_site.name  # as the admin's own pages do
        status = 400 if form is not None and form.errors else 200
        return TemplateResponse(request, "admin/sagas/run/bulk.html", context, status=status)


def _address(chosen: Any, kind: type[Verb]) -> str:
    return "?" + urlencode({**chosen.given, "verb": kind.name})

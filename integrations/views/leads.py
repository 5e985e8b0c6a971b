"""Asking for an offer, and watching what becomes of the request."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from integrations import hubspot, salesforce
from integrations.forms import InquiryForm
from integrations.sagas.lead_qualification import key_of, lead_qualification
from integrations.views.needed import needs
from integrations.views.watching import changed, watched
from integrations.views.wording import LEAD
from sagas.api import KeyConflict, start
from sagas.models import Run


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(hubspot, salesforce)
def ask(request: HttpRequest) -> HttpResponse:
    """Show the form; take a filled-in one, start its saga and lead to its page.

    The lead's row is written by the saga's first step.
    """
    if request.method != "POST":
        return _form_page(request, InquiryForm())
    form = InquiryForm(request.POST)
    if not form.is_valid():
        return _form_page(request, form, status=400)
    lead_id = form.cleaned_data["submission"]
    page = reverse("shop:lead", args=[lead_id])
    try:
        start(lead_qualification, form.inquiry, key=key_of(lead_id))
    except KeyConflict:
        return _form_page(request, form.again(), status=409, earlier=page)
    return redirect(page)


@require_safe
def lead_page(request: HttpRequest, lead_id: UUID) -> HttpResponse:
    """How a request stands, for whoever has the link. It shows nothing that was entered."""
    context = {
        "number": lead_id,
        "page_url": reverse("shop:lead", args=[lead_id]),
        "progress_url": reverse("shop:lead-progress", args=[lead_id]),
    }
    return watched(request, _run_of(lead_id), LEAD, "integrations/watched.html", context)


@require_safe
def progress(request: HttpRequest, lead_id: UUID) -> HttpResponse:
    """How a request stands, as the part of its page that changes; 304 while it has not."""
    return changed(request, _run_of(lead_id), LEAD)


def _form_page(
    request: HttpRequest, form: InquiryForm, *, status: int = 200, earlier: str = ""
) -> HttpResponse:
    context = {"form": form, "earlier": earlier}
    return render(request, "integrations/offer.html", context, status=status)


def _run_of(lead_id: UUID) -> Run:
    return get_object_or_404(Run, saga=lead_qualification.name, business_key=key_of(lead_id))

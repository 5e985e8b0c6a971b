"""Signing up, and watching how the registration goes."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from integrations import accounts, hubspot, notifications, payments
from integrations.forms import RegistrationForm
from integrations.sagas.customer_registration import customer_registration, key_of
from integrations.views.needed import needs
from integrations.views.watching import changed, watched
from integrations.views.wording import REGISTRATION
from sagas.api import KeyConflict, start
from sagas.models import Run


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(accounts, payments, hubspot, notifications)
def sign_up(request: HttpRequest) -> HttpResponse:
    """Show the form; take a filled-in one, start its saga and lead to its page.

    There is no row of ours beside the run, so its start is all that has to be done once.
    """
    if request.method != "POST":
        return _form_page(request, RegistrationForm())
    form = RegistrationForm(request.POST)
    if not form.is_valid():
        return _form_page(request, form, status=400)
    registration = form.registration
    page = reverse("shop:registration", args=[registration.registration_id])
    try:
        start(customer_registration, registration, key=key_of(registration.registration_id))
    except KeyConflict:
        return _form_page(request, form.again(), status=409, earlier=page)
    return redirect(page)


@require_safe
def registration_page(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """How a registration stands, for whoever has the link. It shows nothing that was entered."""
    context = {
        "number": registration_id,
        "page_url": reverse("shop:registration", args=[registration_id]),
        "progress_url": reverse("shop:registration-progress", args=[registration_id]),
    }
    run = _run_of(registration_id)
    return watched(request, run, REGISTRATION, "integrations/watched.html", context)


@require_safe
def progress(request: HttpRequest, registration_id: UUID) -> HttpResponse:
    """How a registration stands, as the part of its page that changes; 304 while it has not."""
    return changed(request, _run_of(registration_id), REGISTRATION)


def _form_page(
    request: HttpRequest, form: RegistrationForm, *, status: int = 200, earlier: str = ""
) -> HttpResponse:
    context = {"form": form, "earlier": earlier}
    return render(request, "integrations/sign_up.html", context, status=status)


def _run_of(registration_id: UUID) -> Run:
    saga = customer_registration.name
    return get_object_or_404(Run, saga=saga, business_key=key_of(registration_id))

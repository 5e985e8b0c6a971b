"""Asking for an offer, and watching what becomes of the request."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from integrations import hubspot, salesforce
from integrations.forms import InquiryForm
from integrations.sagas.lead_qualification import key_of, lead_qualification
from integrations.views.needed import needs
from integrations.views.pages import CustomerPages
from integrations.views.wording import LEAD
from sagas.api import Door

PAGES = CustomerPages(
    lead_qualification,
    key_of,
    route="shop:lead",
    form=InquiryForm,
    wording=LEAD,
    door=Door("requests", per_address=20, in_all=300, mails=3),
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(hubspot, salesforce)
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for an offer. The lead's row is written by the saga's first step."""
    return PAGES.form_page(request)

"""Signing up, and watching how the registration goes."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from integrations import accounts, hubspot, notifications, payments
from integrations.forms import RegistrationForm
from integrations.sagas.customer_registration import customer_registration, key_of
from integrations.views.needed import needs
from integrations.views.pages import CustomerPages
from integrations.views.wording import REGISTRATION
from sagas.api import Door

PAGES = CustomerPages(
    customer_registration,
    key_of,
    route="shop:registration",
    form=RegistrationForm,
    wording=REGISTRATION,
    door=Door("sign-ups", per_address=20, in_all=300, mails=3),
)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@needs(accounts, payments, hubspot, notifications)
def sign_up(request: HttpRequest) -> HttpResponse:
    """Sign up. No row of ours stands beside the run: its start is all that has to be done once."""
    return PAGES.form_page(request)

"""What the partners' errors mean to every saga."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from integrations.errors import NotAsked, PartnerRefused, PartnerUnavailable, PartnerUnknown
from sagas.api import Errors

PARTNER_ERRORS = Errors(
    wait=NotAsked,
    retry=(PartnerUnavailable, ImproperlyConfigured),
    refused=PartnerRefused,
    unknown=PartnerUnknown,
)
"""For `Saga(errors=...)`. Of two that fit, the more exact class counts: not to have asked is no
attempt, though it is a kind of being unavailable. A partner that is not set up was not asked
either, and can be as soon as it is: what is optional goes on without it."""

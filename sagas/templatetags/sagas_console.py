"""The overview on the app's page, whose view is Django's own."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import SafeString

from sagas.admin.overview import fragment
from sagas.admin.shown import cleaned, line
from sagas.operate.access import Right

register = template.Library()

register.filter("line", line)
register.filter("cleaned", cleaned)


@register.simple_tag(takes_context=True)
def saga_overview(context: dict[str, Any]) -> SafeString | str:
    """The overview as whoever looks may see it; nothing for who may not see runs."""
    request = context["request"]
    return fragment(request.user).html if request.user.has_perm(Right.READ) else ""

"""Moments and lengths of time on the pages of lists; and addresses that may not be there."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.run_page.words import age, length
from sagas.wording import clock


def ago(moment: datetime, now: datetime) -> SafeString:
    """How long ago, to the minute and in few words, with the moment itself for who wants it."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(timespec="seconds"),
        clock(moment),
        _briefly((now - moment).total_seconds()),
    )


def _briefly(seconds: float) -> str:
    return "under 1 min" if seconds < _MINUTE else age(seconds)


_MINUTE = 60


def took(span: timedelta) -> str:
    """A length of time: to the hundredth second, or in its two largest units if it is long."""
    seconds = span.total_seconds()
    return f"{seconds:.2f} s" if seconds < _LONG else length(seconds)


_LONG = 120


def address(name: str, *args: object) -> str:
    """The address of a page of the admin; empty if this site has none of that name."""
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""

"""What all pages of the record share: nobody may change anything, and no page grows with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.models import Run

_COUNTED = 10_000


class CappedPaginator(Paginator[Any]):
    """Counts so many rows and no more: a full count reads the whole table for every page."""

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:_COUNTED].count()


class ReadOnly(admin.options.BaseModelAdmin[Model]):
    """Whoever may view may view; nobody may write, not even a superuser."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class HistoryAdmin(ReadOnly, admin.ModelAdmin[Model]):
    """A read-only page for one table of the record, at a cost that does not grow with it."""

    actions = None
    list_per_page = 50
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    large: tuple[str, ...] = ()  # columns that are read only where they are shown

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.large)


def pretty(document: Any) -> SafeString:
    """JSON to be read by people; escaped, since it holds what strangers have sent."""
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html("<pre>{}</pre>", text)


def moment(at: datetime) -> str:
    """A time with its milliseconds: most of a run happens within one second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03}"


def run_link(run_id: Any, text: object) -> SafeString:
    """A link to a run's page."""
    url = reverse(f"admin:{Run._meta.app_label}_{Run._meta.model_name}_change", args=[run_id])
    return format_html('<a href="{}">{}</a>', url, text)

"""What all pages of the record share: nobody may change anything, and no page grows with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.postgres.fields import ArrayField
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from sagas.admin.shown import as_json, line, shown
from sagas.models import Run
from sagas.operate.access import visible
from sagas.operate.reveal import revealing
from sagas.wording import stamp

_COUNTED = 10_000
_LONGEST = 100_000  # characters of a document on its own page


class CappedPaginator(Paginator[Any]):
    """Counts so many rows and no more: a full count reads the whole table for every page."""

    object_list: QuerySet[Any]

    @property
    def cap(self) -> int:
        """How many rows are counted at most."""
        return _COUNTED

    @property
    def capped(self) -> bool:
        """Whether there may be more rows than were counted."""
        return self.count >= self.cap

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[: self.cap].count()


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
    saga_field = ""  # where rows name the saga that one's rights may be restricted to

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).defer(*self.large)
        return visible(request.user, rows, field=self.saga_field) if self.saga_field else rows

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        """No filter on a document: who may not see its fields could guess them by what matches.

        Raises:
            IncorrectLookupParameters: the value is none that PostgreSQL takes as a text.
        """
        field = lookup.partition("__")[0]
        own = {getattr(kind, "parameter", None) for kind in self.list_filter}  # they say it better
        values = value if isinstance(value, list) else [value]
        plain = {f.name for f in self.opts.fields} - own
        if field in plain and any("\x00" in str(item) for item in values):
            raise IncorrectLookupParameters
        documents = {f.name for f in self.opts.fields if isinstance(f, models.JSONField)}
        return field not in documents and super().lookup_allowed(lookup, value, request)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [self._column(name) for name in super().get_list_display(request)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [self._column(name) for name in super().get_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [self._column(name) for name in super().get_readonly_fields(request, obj)]

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row, of which ``sees_all`` then knows whether whoever asks sees redacted fields."""
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            about = f"{self.opts.model_name} {row.pk}"
            row.reveal = partial(revealing, request.user, self.saga_of(row), subject=about)
        return row

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any
    ) -> Any:
        """Django's own page, with a name of the row that steers no screen."""
        if (row := context.get("original")) is not None:
            context["subtitle"] = self.called(row)
        return super().render_change_form(request, context, *args, **options)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """What Django's own log tells of the row, again with a name that steers no screen."""
        row = self.get_object(request, object_id)
        name = self.called(row) if row is not None else ""
        safe = {"object": _Named(row.pk, name), "title": name} if row is not None else {}
        return super().history_view(request, object_id, {**safe, **(extra_context or {})})

    def called(self, row: Any) -> str:
        """What people call a row: in one line that steers no screen."""
        return line(row)

    def saga_of(self, row: Any) -> str:
        """The name of the saga whose documents a row holds; empty if nobody knows."""
        return ""

    def _column(self, name: Any) -> Any:
        """What stands for a field: for one whose words anybody may have written, a safe showing."""
        if not isinstance(name, str) or hasattr(self, name):
            return name
        return self._columns.get(name, name)

    @cached_property
    def _columns(self) -> dict[str, Callable[[Any], SafeString]]:
        """The fields of words that are free, by name."""
        texts = (models.CharField, models.TextField, ArrayField)
        free = [f for f in self.opts.fields if isinstance(f, texts) and not f.choices]
        return {field.name: _safely(field) for field in free}


@dataclass(frozen=True, slots=True)
class _Named:
    """What a page of Django's needs of a row."""

    pk: Any
    name: str

    def __str__(self) -> str:
        return self.name


def _safely(field: Any) -> Callable[[Any], SafeString]:
    @admin.display(description=field.verbose_name, ordering=field.name, empty_value="-")
    def column(row: Any) -> SafeString:
        value = getattr(row, field.name)
        return shown(", ".join(value) if isinstance(value, list) else value)

    column.__name__ = field.name
    return column


def sees_all(row: Model) -> bool:
    """Whether whoever asked for this row is now shown redacted fields; then that is noted."""
    reveal: Callable[[], bool] | None = getattr(row, "reveal", None)
    return reveal is not None and reveal()


def pretty(document: Any) -> SafeString:
    """JSON to be read by people; escaped, since it holds what strangers have sent."""
    return format_html("<pre>{}</pre>", shown(as_json(document), _LONGEST))


def moment(at: datetime) -> str:
    """A time with its milliseconds: most of a run happens within one second."""
    return f"{stamp(at)}.{at.microsecond // 1000:03}"


def run_link(run_id: Any, text: object) -> SafeString:
    """A link to a run's page."""
    url = reverse(f"admin:{Run._meta.app_label}_{Run._meta.model_name}_change", args=[run_id])
    return format_html('<a href="{}"><bdi>{}</bdi></a>', url, line(text))

"""The list of runs: what it shows of each, how it is searched, and its other addresses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path
from django.utils.http import urlencode

from sagas.admin import errors, export, overview, views
from sagas.admin.back import carried
from sagas.admin.filters import FILTERS, PARAMETERS, RunFilter, probes
from sagas.admin.history import CappedPaginator, HistoryAdmin
from sagas.admin.rows import Row, rows, standing
from sagas.admin.shown import encoded, line
from sagas.admin.when import address
from sagas.models import Run
from sagas.operate.access import Right
from sagas.operate.search import matching
from sagas.wording import words

# Earlier names of parameters, in links that people have kept.
_RENAMED = {"status__exact": "status"}
_BESIDES = frozenset({"format", "verb"})  # of the export and of what acts on all that match


class RunList(ChangeList):
    """The runs that match, and what is wrong with the address if nothing can."""

    unknown: Sequence[str] = ()

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        given = {_RENAMED.get(k, k): v for k, v in super().get_filters_params(params).items()}
        self.unknown = sorted(given.keys() - {*PARAMETERS, *_BESIDES})
        return {name: given[name] for name in PARAMETERS if name in given}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        return rows.none() if self.unknown else rows

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if isinstance(self.paginator, OncePaginator):
            self.result_list = self.paginator.page_of(self.page_num)
        self.result_list = standing(self.result_list)

    @property
    def rows(self) -> list[Row]:
        """The runs of this page."""
        return rows(self.result_list)

    @property
    def back(self) -> str:
        """What a run's address ends with, so that one comes back to this filter."""
        return carried("", self.filter_query)

    @property
    def problems(self) -> list[str]:
        """Why nothing can match: values and parameters that mean nothing."""
        wrong = [f"There is no filter {name!r}." for name in self.unknown]
        return [*wrong, *(spec.problem for spec in self.fields if spec.problem)]

    @property
    def remarks(self) -> list[str]:
        """What is odd about the filter, although it may be meant."""
        return [spec.remark for spec in self.fields if spec.remark]

    @property
    def fields(self) -> list[RunFilter]:
        """The filters, as fields of the form."""
        return [spec for spec in self.filter_specs if isinstance(spec, RunFilter)]

    @property
    def given(self) -> dict[str, str]:
        """The filter of this page, as a saved view or an export is asked for it."""
        given = {spec.parameter: spec.given for spec in self.fields if spec.given}
        return given | ({"q": self.query} if self.query else {})

    @property
    def filter_query(self) -> str:
        """The same as the end of an address, without a question mark."""
        return urlencode(self.given)

    @property
    def capped(self) -> bool:
        """Whether there are more matches than are counted."""
        return bool(self.paginator.capped)

    @property
    def search(self) -> str:
        """What is searched for, as an attribute has it."""
        return encoded(self.query)

    def without(self) -> list[tuple[str, str, str]]:
        """Each part of the filter with its value, and the address without it."""
        titles = {spec.parameter: str(spec.title) for spec in self.fields} | {"q": "search"}
        return [
            (
                titles[name],
                line(words(value) if name == "status" else value),
                "?" + urlencode({k: v for k, v in self.given.items() if k != name}),
            )
            for name, value in self.given.items()
        ]


class FewPaginator(CappedPaginator):
    """Counts fewer than for other tables: a filter may have to look at each run that it counts."""

    cap = 2_000


class OncePaginator(FewPaginator):
    """Reads once which runs match, for a count and a page: it must look at many to find few."""

    cap = 1_000

    @cached_property
    def ids(self) -> list[UUID]:
        """The ids of the runs that match, the newest first; of more than so many, of any.

        Keys often grow as ids do, and runs stand at a step for long: in search of the newest,
        PostgreSQL would read all runs that are newer, or look at all that match.
        """
        rows = self.object_list.order_by().values_list("pk", flat=True)
        return sorted(rows[: self.cap], reverse=True)

    @cached_property
    def count(self) -> int:
        return len(self.ids)

    def page_of(self, number: int) -> QuerySet[Any]:
        """The runs of a page, in no order; all if there is one page only."""
        first = self.per_page * (number - 1) if self.num_pages > 1 else 0
        return Run.objects.filter(pk__in=self.ids[first : first + self.per_page])


class RunListAdmin(HistoryAdmin):
    """The list part of the runs' admin."""

    saga_field = "saga"
    list_display = ("business_key",)  # what else the table has is in ``rows``
    list_filter = (*FILTERS,)
    sortable_by = ()  # but by age: no index serves another order
    search_fields = ("business_key",)
    search_help_text = (
        "a number as people write it, the beginning of a business key or of a run id, or tag:word"
    )
    large = ("payload", "amended")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[RunList]:
        return RunList

    list_max_show_all = 0  # a page is enough

    def get_paginator(self, request: HttpRequest, *how: Any, **options: Any) -> Any:
        dear = request.GET.get("q") or probes(request.GET)
        kind = OncePaginator if dear else FewPaginator
        return kind(*how, **options)

    def get_urls(self) -> list[URLPattern]:
        views_of = {
            "export": export.runs,
            "errors": errors.grouped,
            "overview": overview.view,
            "save_view": views.save,
            "delete_view": views.delete,
        }
        own = [path(f"{name.replace('_', '-')}/", self._view(view), name=f"sagas_run_{name}")
               for name, view in views_of.items()]  # fmt: skip
        return [*own, *super().get_urls()]

    def _view(self, view: Any) -> Any:
        return self.admin_site.admin_view(lambda request: view(self, request))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        user: Any = request.user
        beside = {
            "title": "Runs",
            "saved_views": lambda: views.seen_by(user),
            "bulk": address("sagas_run_bulk") if user.has_perm(Right.BATCH) else "",
        }
        return super().changelist_view(request, beside | (extra_context or {}))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return queryset.filter(matching(term)) if term else queryset, False

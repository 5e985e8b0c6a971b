"""Export: all runs that the list's filter matches, as CSV or as lines of JSON, streamed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone

from sagas.models import Run
from sagas.operate import audit
from sagas.operate.access import Right, require, within

COLUMNS = (
    *("id", "saga", "version", "business_key", "status", "halt", "attention", "error_group"),
    *("owner", "tags", "created_at", "started_at", "finished_at", "deadline_at", "title"),
)
_CHUNK = 1000
#: Where a spreadsheet would see a formula begin: in front, and behind whatever it may take for the
#: end of a cell, as it takes the semicolon in many countries. Quotes do not help there.
_FORMULA = re.compile(
    r"""^(?=[\t\r\n]) | (?:^|[;|\t\r\n]) [" \xa0]* (?=[-=+@\uff1d\uff0b\uff0d\uff20])""", re.VERBOSE
)


def runs(page: Any, request: HttpRequest) -> HttpResponseBase:
    """The export of a filter, the oldest run first; it holds no more than a chunk in memory.

    Payloads are in it only as lines of JSON, and only for who may reveal them.
    """
    require(request.user, Right.READ)
    wanted = request.GET.get("format", "csv")
    if wanted not in _FORMATS:
        return _refused(f"There is no format {wanted!r}. Formats are: {', '.join(_FORMATS)}.")
    try:
        found = page.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return _refused("There is no such page of the list; export it without a page.")
    if found.problems:
        return _refused(" ".join(found.problems))
    _note(request, wanted, found.filter_query)
    kind, lines = _FORMATS[wanted]
    response = StreamingHttpResponse(lines(request, found.queryset), content_type=kind)
    name = f"runs-{timezone.now():%Y%m%d-%H%M%S}.{wanted}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-store"
    return response


def _refused(why: str) -> HttpResponse:
    return HttpResponse(why, status=400, content_type="text/plain; charset=utf-8")


def _note(request: HttpRequest, wanted: str, query: str) -> None:
    user: Any = request.user
    audit.append(
        actor=user,
        verb="export",
        reason="",
        subject="runs",
        details={"format": wanted, "query": query},
    )


class _Echo:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _csv(request: HttpRequest, rows: QuerySet[Run]) -> Iterator[str]:
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)  # some readers end cells at ; and , alike
    yield writer.writerow(COLUMNS)
    for values in _in_order(rows).values_list(*COLUMNS).iterator(_CHUNK):
        yield writer.writerow([_cell(value) for value in values])


def _cell(value: Any) -> str:
    """A value as a spreadsheet may read it: what it would take for a formula is made a text."""
    text = " ".join(value) if isinstance(value, list) else _plain(value)
    return _FORMULA.sub(r"\g<0>'", text)


def _json_lines(request: HttpRequest, rows: QuerySet[Run]) -> Iterator[str]:
    columns = [*COLUMNS, *_revealed(request)]
    for values in _in_order(rows).values(*columns).iterator(_CHUNK):
        if "payload" in values and not within(request.user, Right.REVEAL, values["saga"]):
            del values["payload"], values["amended"]
        yield json.dumps(values, default=_plain, ensure_ascii=False) + "\n"


def _revealed(request: HttpRequest) -> Sequence[str]:
    return ("payload", "amended") if request.user.has_perm(Right.REVEAL) else ()


def _in_order(rows: QuerySet[Run]) -> QuerySet[Run]:
    return rows.order_by("id")


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_FORMATS: dict[str, tuple[str, Callable[[HttpRequest, QuerySet[Run]], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "jsonl": ("application/x-ndjson; charset=utf-8", _json_lines),
}

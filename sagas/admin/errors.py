"""The page of errors, grouped: what stopped the runs that need a person."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.http import urlencode

from sagas.admin.shown import line, shown
from sagas.admin.when import address, ago
from sagas.operate.access import Right, require, scope
from sagas.operate.groups import COUNTED, ErrorGroup, error_groups
from sagas.states import RunStatus

_MOST = 100


def grouped(page: Any, request: HttpRequest) -> TemplateResponse:
    """The largest groups first, each with links to its runs and to a retry of them all."""
    user: Any = request.user
    require(user, Right.READ)
    groups = error_groups(scope(user, Right.READ), _MOST)
    context = {
        **page.admin_site.each_context(request),
        "title": "Errors grouped",
        "opts": page.opts,
        "groups": [_row(group) for group in groups],
        "counted": COUNTED,
        "capped": sum(group.count for group in groups) >= COUNTED,
        "bulk": address("sagas_run_bulk") if user.has_perm(Right.BATCH) else "",
    }
    request.current_app = page.admin_site.name  # as the admin's own pages do
    return TemplateResponse(request, "admin/sagas/run/errors.html", context)


def _row(group: ErrorGroup) -> dict[str, Any]:
    query = urlencode({"error_group": group.name, "status": RunStatus.NEEDS_ATTENTION.value})
    return {
        "name": shown(group.name) if group.name else "",
        "count": group.count,
        "sagas": line(", ".join(group.sagas)),
        "first": ago(group.first, group.now),
        "last": ago(group.last, group.now),
        "query": query,
    }

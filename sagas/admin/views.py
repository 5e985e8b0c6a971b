"""Saved views: filters of the list of runs that people gave a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import urlencode

from sagas.admin.filters import PARAMETERS
from sagas.admin.shown import line
from sagas.models import SavedView
from sagas.operate.access import Right, require

_MOST = 50  # of one person, and of those that are shown
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class View:
    """A saved view as it is linked; ``owner`` is empty for one's own."""

    pk: int
    name: str
    query: str
    owner: str


def seen_by(user: Any) -> list[View]:
    """One's own views and those that others share, by name."""
    me = user.get_username()
    seen = SavedView.objects.filter(owner=me) | SavedView.objects.filter(shared=True)
    return [
        View(
            view.pk, line(view.name), fit(view.query), "" if view.owner == me else line(view.owner)
        )
        for view in seen.order_by("name", "id")[: 2 * _MOST]
    ]


def save(page: Any, request: HttpRequest) -> HttpResponseBase:
    """Keep a filter under a name; one's own view of that name is replaced."""
    require(request.user, Right.READ)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    query = fit(request.POST.get("query", ""))
    problem = _save(request, " ".join(request.POST.get("name", "").split()), query)
    if problem:
        messages.error(request, problem)
    return _back(query)


def delete(page: Any, request: HttpRequest) -> HttpResponseBase:
    """Remove one of one's own views."""
    require(request.user, Right.READ)
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    user: Any = request.user
    given = request.POST.get("view", "")
    mine = SavedView.objects.filter(owner=user.get_username())
    gone = mine.filter(pk=int(given)).delete()[0] if _number(given) else 0
    if not gone:
        messages.error(request, "You have no such view; others' are theirs to remove.")
    return _back(fit(request.POST.get("query", "")))


def fit(query: str) -> str:
    """Of the end of an address what filters the list, and nothing else."""
    try:
        given = QueryDict(query[:_LONGEST])
    except ValueError:  # more fields than Django reads
        return ""
    return urlencode({name: given[name] for name in (*PARAMETERS, "q") if given.get(name)})


def _save(request: HttpRequest, name: str, query: str) -> str:
    """Save it; or give the reason why not."""
    user: Any = request.user
    owner = user.get_username()
    if not name or len(name) > 80 or not name.isprintable():
        return "A view needs a name of 1 to 80 characters."
    if not query:
        return "There is no filter to save: filter the list first."
    mine = SavedView.objects.filter(owner=owner)
    if mine.exclude(name=name).count() >= _MOST:
        return f"You have {_MOST} views already; remove one first."
    what = {"query": query, "shared": request.POST.get("shared") == "on"}
    SavedView.objects.update_or_create(owner=owner, name=name, defaults=what)
    messages.success(request, f"The view {name!r} is saved.")
    return ""


def _number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _back(query: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse('admin:sagas_run_changelist')}?{query}")

"""A page on which a customer watches a run, and the part of it that changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_cache_control

from integrations.views.progress import Progress, Wording, progress_of
from sagas.models import Run


def watched(
    request: HttpRequest, run: Run, wording: Wording, template: str, context: Mapping[str, Any]
) -> HttpResponse:
    """The whole page; `context` needs the addresses `page_url` and `progress_url`."""
    shown = {**context, "etag": _etag(run), "progress": _progress(run, wording)}
    return _current(render(request, template, shown))


def changed(request: HttpRequest, run: Run, wording: Wording) -> HttpResponse:
    """The part that changes; 304 while it has not."""
    unchanged = get_conditional_response(request, etag=_etag(run))
    if unchanged is not None:
        return _current(unchanged)
    context = {"progress": _progress(run, wording)}
    response = render(request, "integrations/progress.html", context)
    response["ETag"] = _etag(run)
    return _current(response)


def _progress(run: Run, wording: Wording) -> Progress:
    return progress_of(run, list(run.steps.all()), wording)


def _etag(run: Run) -> str:
    return f'"{run.pk.hex}-{run.revision}"'


def _current(response: HttpResponse) -> HttpResponse:
    """Let browsers keep it, but ask each time."""
    patch_cache_control(response, private=True, no_cache=True)
    return response

"""What all parts of pages share that are asked for again and again while somebody looks."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control


def living(request: HttpRequest, etag: str, draw: Callable[[], HttpResponse]) -> HttpResponseBase:
    """The parts as they are now; 304, and nothing drawn, while the asker has them so.

    Args:
        etag: another one whenever something that is to be seen has changed.
        draw: makes the answer with the parts.
    """
    response = get_conditional_response(request, etag=etag) or draw()
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response

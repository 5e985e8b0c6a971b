"""Pages that need partners: closed, with a word about it, while one of them is not set up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Protocol

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

logger = logging.getLogger("integrations.shop")

View = Callable[[HttpRequest], HttpResponse]


class Partner(Protocol):
    """A connector's package."""

    def connector(self) -> object: ...


def needs(*partners: Partner) -> Callable[[View], View]:
    """A view that starts runs only where each of `partners` can be asked.

    Where the environment names one of them wrongly or not at all the page says that it is closed
    (503), and the log which variable is missing. Else each run would only be undone again.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest) -> HttpResponse:
            if complaints := list(_complaints(partners)):
                logger.warning("%s is closed: %s", request.path, " ".join(complaints))
                return render(request, "integrations/closed.html", status=503)
            return view(request)

        return guarded

    return decorate


def _complaints(partners: tuple[Partner, ...]) -> Iterator[str]:
    for partner in partners:
        try:
            partner.connector()
        except ImproperlyConfigured as error:
            yield str(error)

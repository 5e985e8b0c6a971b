"""The endpoint of those who call us: verify, keep, answer. What it causes, a worker does later."""

from __future__ import annotations

import logging
import time
from contextlib import suppress

from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from integrations.webhooks import hint, inbox
from integrations.webhooks.received import Forged, Malformed, Received, Refusal, Stale
from integrations.webhooks.sources import SOURCES, Source, keys, public_url
from sagas.views.problems import problem

logger = logging.getLogger("integrations.webhooks")

LIMIT = 262_144  #: bytes of a body: many times what the kinds that we handle have

_PIECE, _THROWN_AWAY = 65_536, 4_194_304
_STATUS = {Malformed: 400, Forged: 403, Stale: 403}


@csrf_exempt
def receive(request: HttpRequest, source: str) -> HttpResponse:
    """Take a webhook: 202 once its events are kept, new or known, else a problem that says why."""
    try:
        return _received(request, source)
    except Refusal as refusal:
        status = _STATUS[type(refusal)]
        logger.warning("A webhook of %s is refused (%s): %s", source, status, refusal)
        return problem(request, status, str(refusal))
    except (OperationalError, InterfaceError) as error:
        logger.warning("No webhook of %s is kept: %s.", source, type(error).__name__)
        return _later(request, "Nothing can be kept at present; send it again.")
    except Exception as error:
        logger.error("A webhook of %s failed", source, exc_info=error)
        got_request_exception.send(sender=None, request=request)
        return problem(request, 500, "Something went wrong here; it has been logged. Repeat it.")


def _received(request: HttpRequest, name: str) -> HttpResponse:
    source = SOURCES.get(name)
    if source is None:
        return problem(request, 404, f"There is nothing at {request.path}.")
    if request.method != "POST":
        answer = problem(request, 405, "Webhooks are sent with POST.")
        answer["Allow"] = "POST"
        return answer
    if not keys(name):
        logger.error("A webhook of %s comes in, but %s is not set.", name, source.variable)
        return _later(request, "This endpoint is not set up yet; send it again later.")
    if (refused := _unfit_length(request)) is not None:
        return refused
    return _kept(source, _read(request))


def _kept(source: Source, received: Received) -> HttpResponse:
    events = source.events(received, time.time())
    new = inbox.keep(events)
    if new:
        hint.send()
    return JsonResponse({"new": new, "known": len(events) - new}, status=202)


def _unfit_length(request: HttpRequest) -> HttpResponse | None:
    """The refusal of a body that is too large, of which nothing is kept in memory."""
    announced = _announced(request)
    if announced is None:
        return problem(request, 411, "Say how long the body is, with Content-Length.")
    if announced > LIMIT:
        _throw_away(request)
        return problem(request, 413, f"The body is larger than {LIMIT} bytes.")
    return None


def _throw_away(request: HttpRequest) -> None:
    """Let a sender get rid of a body of some size: cut off, it would not read our answer."""
    with suppress(UnreadablePostError):
        for _ in range(_THROWN_AWAY // _PIECE):
            if not request.read(_PIECE):
                return


def _announced(request: HttpRequest) -> int | None:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None


def _read(request: HttpRequest) -> Received:
    try:
        body = request.body
    except UnreadablePostError:
        raise Malformed("The body broke off.") from None
    if len(body) != _announced(request):
        raise Malformed("The body is shorter than its Content-Length.")
    path = request.get_full_path()
    address = public_url()
    url = request.build_absolute_uri() if address is None else f"{address}{path}"
    headers = {header.lower(): value for header, value in request.headers.items()}
    return Received(str(request.method), url, headers, body)


def _later(request: HttpRequest, detail: str) -> HttpResponse:
    answer = problem(request, 503, detail)
    answer["Retry-After"] = "30"
    return answer

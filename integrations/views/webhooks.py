"""The endpoint of those who call us: verify, keep, answer. What it causes, a worker does later."""

from __future__ import annotations

import logging
import time
import traceback
from contextlib import suppress
from typing import Protocol

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from integrations.webhooks import hint, inbox
from integrations.webhooks.received import Forged, Malformed, Received, Refusal, Stale
from integrations.webhooks.redaction import reason
from integrations.webhooks.sources import SOURCES, Source, keys, public_url
from sagas.views.problems import problem

logger = logging.getLogger("integrations.webhooks")

LIMIT = 262_144  #: bytes of a body: many times what the kinds that we handle have

_PIECE, _THROWN_AWAY = 65_536, 4_194_304


class _Endless(Refusal):
    """It says in no way where its body ends."""


class _TooLarge(Refusal):
    """Its body is larger than what is kept."""


_STATUS = {Malformed: 400, Forged: 403, Stale: 403, _Endless: 411, _TooLarge: 413}


class _Stream(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes: ...


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
        # Neither the error itself nor a signal for those who report it: its message may hold rows.
        frames = "".join(traceback.format_tb(error.__traceback__))
        logger.error("A webhook of %s failed: %s\n%s", source, reason(error), frames)
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
    return _kept(source, _read(request))


def _kept(source: Source, received: Received) -> HttpResponse:
    events = source.events(received, time.time())
    new = inbox.keep(events)
    if new:
        hint.send()
    return JsonResponse({"new": new, "known": len(events) - new}, status=202)


def _read(request: HttpRequest) -> Received:
    body = _body(request)
    path = request.get_full_path()
    address = public_url()
    url = request.build_absolute_uri() if address is None else f"{address}{path}"
    headers = {header.lower(): value for header, value in request.headers.items()}
    return Received(str(request.method), url, headers, body)


def _body(request: HttpRequest) -> bytes:
    """The body, of which never more than the limit is in memory."""
    length, stream = _framed(request)
    try:
        body = b"" if length is not None and length > LIMIT else _up_to(stream, LIMIT + 1)
    except Exception:  # each server has its own for a connection that ends or chunks that are none
        raise Malformed("The body broke off.") from None
    if len(body) > LIMIT or (length or 0) > LIMIT:
        _throw_away(stream)
        raise _TooLarge(f"The body is larger than {LIMIT} bytes.")
    if length is not None and len(body) != length:
        raise Malformed("The body is shorter than its Content-Length.")
    return body


def _framed(request: HttpRequest) -> tuple[int | None, _Stream]:
    """How long the body says it is, and what it is read from."""
    length = request.META.get("CONTENT_LENGTH") or ""
    if length.isascii() and length.isdigit() and len(length) < 20:
        return int(length), request
    # Django reads nothing without a length. The server below decodes chunks, if it says so.
    chunked = request.headers.get("Transfer-Encoding", "").strip().lower() == "chunked"
    if not length and chunked and request.META.get("wsgi.input_terminated"):
        return None, request.META["wsgi.input"]
    raise _Endless("Say how long the body is, with Content-Length, or send it in chunks.")


def _up_to(stream: _Stream, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := stream.read(min(size, _PIECE))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _throw_away(stream: _Stream) -> None:
    """Let a sender get rid of a body of some size: cut off, it would not read our answer."""
    with suppress(Exception):
        for _ in range(_THROWN_AWAY // _PIECE):
            if not stream.read(_PIECE):
                return


def _later(request: HttpRequest, detail: str) -> HttpResponse:
    answer = problem(request, 503, detail)
    answer["Retry-After"] = "30"
    return answer

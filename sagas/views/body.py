"""A request's JSON body, read so that nothing in it can break what comes after."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from django.http import HttpRequest
from ninja.errors import HttpError

from sagas.conf import conf


def read_json(request: HttpRequest, *, optional: bool = False) -> tuple[str, Any]:
    """The body as text and as data.

    Args:
        optional: take an empty body for ``null``.

    Raises:
        ninja.errors.HttpError: 413 too large, 415 declared to be something else than JSON,
            400 not UTF-8, not JSON, or nested too deeply.
    """
    text = _text(request) or ("null" if optional else "")
    try:
        return text, json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise HttpError(400, "The body is nested too deeply.") from None
    except ValueError as error:
        raise HttpError(400, f"The body is not JSON: {error}.") from None


def _text(request: HttpRequest) -> str:
    # First: of a form that the CSRF check has read, no body is left to read.
    if request.content_type not in ("application/json", ""):
        raise HttpError(415, "Send JSON, with the header Content-Type: application/json.")
    limit = conf().MAX_DOCUMENT_BYTES
    if len(request.body) > limit:  # what is far larger Django refuses unread, also with a 413
        raise HttpError(413, f"The body is larger than {limit} bytes.")
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        raise HttpError(400, "The body is not UTF-8.") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):  # it would be stored as null
        raise ValueError(f"the number {digits[:20]} is too large")
    return number

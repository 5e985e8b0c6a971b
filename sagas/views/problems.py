"""Errors as problem details (RFC 9457): every refusal of the API has this one shape."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError, ValidationError

from sagas import errors
from sagas.define.mask import masked_error
from sagas.operate.throttle import Throttled

logger = logging.getLogger("sagas.api")

CONTENT_TYPE = "application/problem+json"
View = Callable[..., HttpResponse]


def problem(
    request: HttpRequest, status: int, detail: str, problems: list[dict[str, str]] | None = None
) -> HttpResponse:
    """The one shape of a refusal.

    Args:
        detail: what was wrong with this request, and how to mend it.
        problems: for invalid input, ``{"field": dotted path, "message": reason}`` for each.
    """
    body: dict[str, Any] = {
        "type": "about:blank",  # the status says it all (RFC 9457, section 4.2.1)
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.path,
    }
    if problems is not None:
        body["errors"] = problems
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE)


def install(api: NinjaAPI) -> None:
    """Have the API answer every exception with a problem."""
    for error, answer in _ANSWERS.items():
        api.add_exception_handler(error, answer)


def finished(view: View) -> View:
    """Finish what passes none of the API's handlers: a wrong method, an unknown address.

    Nobody on the way keeps an answer, nor does a browser: they tell of customers' orders.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except Http404:
            response = absent(request)
        if response.status_code >= 400 and response["Content-Type"] != CONTENT_TYPE:
            response = _retold(request, response)
        response["Cache-Control"] = "private, no-store"
        return response

    return wrapped


def absent(request: HttpRequest) -> HttpResponse:
    """The answer to an address that the API does not have."""
    return problem(request, 404, f"There is nothing at {request.path}.")


def _retold(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    detail = HTTPStatus(response.status_code).description
    if "Allow" in response:
        detail = f"{request.method} is not allowed here; allowed: {response['Allow']}."
    answer = problem(request, response.status_code, detail)
    for name, value in response.items():
        if name not in ("Content-Type", "Content-Length"):
            answer[name] = value
    return answer


# --- one answer for each class of exception ------------------------------------------------


def _told(status: int) -> View:
    def answer(request: HttpRequest, error: Exception) -> HttpResponse:
        return problem(request, status, str(error))

    return answer


def _http(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(request, error.status_code, str(error))


def _unauthenticated(request: HttpRequest, error: HttpError) -> HttpResponse:
    refused = str(error) != "Unauthorized"  # ninja's word for: no credentials at all
    detail = str(error) if refused else "Log in, or send a token: Authorization: Bearer TOKEN."
    answer = problem(request, 401, detail)
    answer["WWW-Authenticate"] = 'Bearer realm="sagas"' + ', error="invalid_token"' * refused
    return answer


def _invalid_payload(request: HttpRequest, error: errors.PayloadInvalid) -> HttpResponse:
    return problem(request, 400, str(error), error.problems)


def _invalid_parameters(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems = [
        {"field": _place(item["loc"]), "message": str(item["msg"])} for item in error.errors
    ]
    listed = "; ".join(f"{p['field']}: {p['message']}" for p in problems)
    return problem(request, 400, f"The request was refused: {listed}.", problems)


def _place(loc: Sequence[Any]) -> str:
    """Where in the request, by the names that the client used."""
    inside = loc[2:] if tuple(loc[:2]) == ("query", "query") else loc[1:]
    return ".".join(map(str, inside))  # of an item in a list, ninja names our parameter too


def _later(status: int) -> View:
    def answer(request: HttpRequest, error: Throttled | errors.BacklogFull) -> HttpResponse:
        refusal = problem(request, status, str(error))
        refusal["Retry-After"] = str(error.retry_after)
        return refusal

    return answer


def _unexpected(request: HttpRequest, error: Exception) -> HttpResponse:
    logger.error("%s %s failed", request.method, request.path, exc_info=masked_error(error))
    got_request_exception.send(sender=None, request=request)  # as Django does: Sentry listens
    return problem(request, 500, "Something went wrong here; it has been logged.")


_ANSWERS: dict[type[Exception], Callable[[HttpRequest, Any], HttpResponse]] = {
    Exception: _unexpected,
    errors.IllegalMove: _unexpected,
    errors.DefinitionError: _unexpected,
    errors.SagaError: _told(400),
    errors.PayloadInvalid: _invalid_payload,
    errors.UnknownSaga: _told(404),
    errors.UnknownRun: _told(404),
    errors.UnknownPartner: _told(404),
    errors.KeyConflict: _told(409),
    errors.CancelRefused: _told(409),
    errors.VerbRefused: _told(409),
    PermissionDenied: _told(403),
    RequestDataTooBig: _told(413),
    ValidationError: _invalid_parameters,
    AuthenticationError: _unauthenticated,
    HttpError: _http,
    Throttled: _later(429),
    errors.BacklogFull: _later(503),
}

"""Who asks: a service by its token, or a person by Django's session."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware.csrf import CsrfViewMiddleware
from ninja.errors import AuthenticationError, HttpError
from ninja.security import HttpBearer, SessionAuth

from sagas.operate.logins import count_token
from sagas.operate.token import TokenRefused, user_of


class Token(HttpBearer):
    """``Authorization: Bearer TOKEN``, from ``manage.py sagas token USER``."""

    openapi_description = "From `manage.py sagas token USER`."

    def authenticate(self, request: HttpRequest, token: str) -> AbstractBaseUser:
        try:
            user = user_of(token)
        except TokenRefused as error:
            count_token(request)
            raise AuthenticationError(message=str(error)) from None
        request.user = user  # type: ignore[assignment]  # the project says what a user is
        return user


class Session(SessionAuth):
    """Django's session; a changing request then needs the CSRF token too."""

    openapi_description = "Changing requests also need the header `X-CSRFToken`."
    param_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Any:
        if not request.user.is_authenticated:  # first: else nobody in particular gets a 403
            return None
        if _CsrfCheck(_passed).refuses(request):
            raise HttpError(403, _CSRF_MISSING)
        return request.user


class _CsrfCheck(CsrfViewMiddleware):
    """Django's check without its page, which is the site's and may need what is not there."""

    def refuses(self, request: HttpRequest) -> bool:
        self.process_request(request)
        return self.process_view(request, _passed, (), {}) is not None

    def _reject(self, request: HttpRequest, reason: str) -> HttpResponseForbidden:
        return HttpResponseForbidden()


def _passed(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


_CSRF_MISSING = "The CSRF token is missing or wrong; send it as the header X-CSRFToken."

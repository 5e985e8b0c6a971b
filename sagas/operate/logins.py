"""Throttling of logins: how often a password may be tried, by name, by address and by device.

Whoever has logged in from a browser keeps a signed cookie there, and is counted by that alone
(OWASP's device cookie): what strangers try against a name, from wherever, never keeps its owner out
of a browser that they have used.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

from sagas.operate import throttle
from sagas.operate.throttle import QUARTER, Throttled, forgive, hashed, networks

WINDOW = QUARTER
PER_NAME, PER_ADDRESS, PER_DEVICE, PER_TOKENS = 10, 50, 10, 100
"""Attempts in 15 minutes. Behind one address there may be a whole office."""
COOKIE = "sagas_device"
_COOKIE_AGE = 180 * 86_400
_SALT = "sagas.login"
_LOGGED_IN = "_sagas_logged_in"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted, by these keys."""

    keys: tuple[str, ...]


def count(request: HttpRequest, name: str) -> Attempt:
    """Count an attempt to log in, before its password is looked at.

    Raises:
        Throttled: there were too many.
    """
    limits = _limits(request, name)
    throttle.prune()
    instead = ", or in a browser that you have logged in from"
    throttle.count(limits, WINDOW, what="attempts to log in", instead=instead)
    return Attempt(tuple(limits))


def count_token(request: HttpRequest) -> None:
    """Count a token that was refused. Tokens that are good are never kept out by it.

    Raises:
        Throttled: too many were sent from there.
    """
    limits = {hashed("token", place): PER_TOKENS for place in networks(request)}
    refused = "tokens that are good for nothing"
    wait = throttle.left(list(limits), PER_TOKENS, WINDOW)
    if wait is not None:  # without a write: who sends many must not cost the database many
        raise Throttled(refused, wait)
    throttle.count(limits, WINDOW, what=refused)


def remember(request: HttpRequest, response: HttpResponse) -> None:
    """Leave a cookie in the browser of somebody who has just logged in."""
    name: str | None = getattr(request, _LOGGED_IN, None)
    if name is None:
        return
    response.set_cookie(
        COOKIE,
        signing.dumps([_plain(name), secrets.token_urlsafe(16)], salt=_SALT),
        max_age=_COOKIE_AGE,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def succeeded(request: HttpRequest, name: str, attempt: Attempt) -> None:
    """Take back an attempt that was right, and have the browser known from now on."""
    forgive(attempt.keys)
    setattr(request, _LOGGED_IN, name)


def _limits(request: HttpRequest, name: str) -> dict[str, int]:
    if (device := _device(request, name)) is not None:
        return {hashed("device", device): PER_DEVICE}
    found = {hashed("name", _plain(name)): PER_NAME}
    return found | {hashed("address", place): PER_ADDRESS for place in networks(request)}


def _device(request: HttpRequest, name: str) -> str | None:
    """The browser, if this user has logged in from it."""
    try:
        known, device = signing.loads(
            request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_COOKIE_AGE
        )
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(device) if known == _plain(name) else None


def _plain(name: str) -> str:
    return name.strip().casefold()

"""Throttling of logins: how often a password may be tried, by name, by address and by device.

Counted in the database, which a login needs anyway: so it holds with Redis away. Whoever has logged
in from a browser keeps a signed cookie there, and is counted by that alone (OWASP's device cookie):
what strangers try against a name, from wherever, never keeps its owner out of a browser that they
have used. A count begins anew some minutes after its first attempt, and what is refused meanwhile
prolongs nothing, so nobody is locked out for ever.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from sagas import db

WINDOW = 15 * 60
"""Seconds from the first attempt of a count until it begins anew."""
PER_NAME, PER_ADDRESS, PER_DEVICE, PER_TOKENS = 10, 50, 10, 100
"""Attempts in that time. Behind one address there may be a whole office."""
COOKIE = "sagas_device"
_COOKIE_AGE = 180 * 86_400
_SALT = "sagas.login"
_LOGGED_IN = "_sagas_logged_in"

# Counted before the password is looked at: of many who try at once none passes uncounted.
_COUNT = """
INSERT INTO sagas_loginattempts AS a (key, attempts, since)
SELECT key, 1, clock_timestamp() FROM unnest(%(keys)s::text[]) AS key ORDER BY key
ON CONFLICT (key) DO UPDATE SET
  attempts = CASE WHEN a.since < clock_timestamp() - %(window)s * interval '1 second'
    THEN 1 ELSE least(a.attempts + 1, 1000000) END,
  since = CASE WHEN a.since < clock_timestamp() - %(window)s * interval '1 second'
    THEN clock_timestamp() ELSE a.since END
RETURNING key, attempts,
  extract(epoch FROM since - clock_timestamp())::float8 + %(window)s::float8"""
_FORGIVE = """
UPDATE sagas_loginattempts SET attempts = greatest(attempts - 1, 0) WHERE key = ANY(%(keys)s)"""
_OVER = """
SELECT extract(epoch FROM since - clock_timestamp())::float8 + %(window)s::float8
FROM sagas_loginattempts WHERE key = ANY(%(keys)s) AND attempts >= %(limit)s
  AND since >= clock_timestamp() - %(window)s * interval '1 second'"""
_PRUNE = """
WITH old AS (
  SELECT key FROM sagas_loginattempts
  WHERE since < clock_timestamp() - %(window)s * interval '1 second'
  ORDER BY since LIMIT 100 FOR UPDATE SKIP LOCKED)
DELETE FROM sagas_loginattempts WHERE key IN (SELECT key FROM old)"""


class Throttled(Exception):
    """Too many attempts; ``retry_after`` is in whole seconds, ``first`` whether this began it."""

    def __init__(self, what: str, wait: float, *, first: bool = False, instead: str = "") -> None:
        self.retry_after, self.first = max(1, math.ceil(wait)), first
        minutes = math.ceil(self.retry_after / 60)
        plural = "" if minutes == 1 else "s"
        super().__init__(f"Too many {what}. Try again in {minutes} minute{plural}{instead}.")


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
    db.execute(_PRUNE, {"window": WINDOW})
    rows = db.execute(_COUNT, {"keys": list(limits), "window": WINDOW})
    over = [
        (attempts - limits[key], left) for key, attempts, left in rows if attempts > limits[key]
    ]
    if over:
        wait, began = max(left for _, left in over), any(by == 1 for by, _ in over)
        instead = ", or in a browser that you have logged in from"
        raise Throttled("attempts to log in", wait, first=began, instead=instead)
    return Attempt(tuple(limits))


def count_token(request: HttpRequest) -> None:
    """Count a token that was refused. Tokens that are good are never kept out by it.

    Raises:
        Throttled: too many were sent from there.
    """
    limits = {_key("token", place): PER_TOKENS for place in _address(request)}
    over = db.execute(_OVER, {"keys": list(limits), "limit": PER_TOKENS, "window": WINDOW})
    if over:  # without a write: who sends many must not cost the database many
        raise Throttled("tokens that are good for nothing", over[0][0])
    db.execute(_COUNT, {"keys": list(limits), "window": WINDOW})


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
    db.execute(_FORGIVE, {"keys": list(attempt.keys)})
    setattr(request, _LOGGED_IN, name)


def _limits(request: HttpRequest, name: str) -> dict[str, int]:
    if (device := _device(request, name)) is not None:
        return {_key("device", device): PER_DEVICE}
    found = {_key("name", _plain(name)): PER_NAME}
    return found | {_key("address", place): PER_ADDRESS for place in _address(request)}


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


def _address(request: HttpRequest) -> list[str]:
    """Where it came from: of IPv6 the network, of which one person has all addresses."""
    try:
        address = ip_address(str(request.META.get("REMOTE_ADDR", "")))
    except ValueError:  # as behind a socket
        return []
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return [str(ip_network((address, 64), strict=False))]
    return [str(getattr(address, "ipv4_mapped", None) or address)]


def _key(kind: str, value: str) -> str:
    """Not the value itself: what is typed as a name may be a password."""
    return salted_hmac(_SALT, f"{kind}:{value}", algorithm="sha256").hexdigest()

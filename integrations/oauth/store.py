"""Reading a token, and replacing it under its row's lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from integrations.oauth.flows import Grant
from integrations.oauth.models import Token
from integrations.oauth.sealing import Sealed


class Busy(Exception):
    """Somebody else held the token for as long as we could wait."""


def read(partner: str, credential: str) -> Token | None:
    """The token as it stands."""
    return Token.objects.of(partner, credential).first()


@contextmanager
def locked(partner: str, credential: str, patience: float) -> Iterator[Token]:
    """The token, held against all others in a transaction that commits with the block.

    It is made if there is none. Raises Busy after `patience` seconds.
    Raises RuntimeError in a transaction of the caller's: that could roll back after the partner has
    replaced a refresh token, and the new one would be lost.
    """
    with transaction.atomic(durable=True):
        _wait_no_longer_than(patience)
        try:
            token = _lock(partner, credential)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") == _LOCK_NOT_AVAILABLE:
                raise Busy from None
            raise
        yield token


def replace(token: Token, grant: Grant) -> Token:
    """Keep a new access token, and the new refresh token if there is one, in one write."""
    renewed: dict[str, object] = {"access": Sealed.of(grant.access_token.get_secret_value())}
    if grant.refresh_token is not None:
        renewed["refresh"] = Sealed.of(grant.refresh_token.get_secret_value())
    lifetime = grant.lifetime
    ends = None if lifetime is None else Now() + timedelta(seconds=lifetime)
    return _write(token, **renewed, expires_at=ends, attention="", **_NEXT)


def authorize(token: Token, refresh: str) -> Token:
    """Begin anew with a refresh token that a person got: the old access token goes."""
    fresh = Sealed.of(refresh)
    return _write(token, refresh=fresh, access=None, expires_at=None, attention="", **_NEXT)


def note_unanswered(token: Token) -> Token:
    """Remember that the refresh token may have been used up by a request without an answer."""
    return _write(token, unanswered_at=Now())


def need_attention(token: Token, why: str) -> Token:
    """Ask nobody any more until a person has authorized us anew."""
    return _write(token, attention=why)


def reseal(token: Token, **secrets: Sealed) -> Token:
    """Keep the same secrets under another key."""
    return _write(token, **secrets)


def _lock(partner: str, credential: str) -> Token:
    rows = Token.objects.of(partner, credential).select_for_update()
    if (token := rows.first()) is not None:
        return token
    new = Token(partner=partner, credential=credential)
    Token.objects.bulk_create([new], ignore_conflicts=True)  # others may be making it too
    return rows.get()


def _write(token: Token, **changes: object) -> Token:
    rows = Token.objects.of(token.partner, token.credential)
    rows.update(**changes, updated_at=Now())
    return rows.get()


def _wait_no_longer_than(seconds: float) -> None:
    with connection.cursor() as cursor:
        milliseconds = max(1, int(seconds * 1000))
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{milliseconds}ms"])


_NEXT = {"generation": F("generation") + 1, "unanswered_at": None}
_LOCK_NOT_AVAILABLE = "55P03"

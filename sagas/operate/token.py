"""Signed tokens that stand for a user: how services authenticate themselves."""

from __future__ import annotations

import time
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.core.exceptions import ValidationError
from django.utils.crypto import constant_time_compare

from sagas.errors import SagaError

_SALT = "sagas.token"


class TokenRefused(SagaError):
    """The token stands for nobody any more, or never did."""


def issue(user: AbstractBaseUser, lifetime: timedelta) -> str:
    """A token for a user. It is stored nowhere, so it cannot be shown again.

    It ends with its lifetime, with the user's password, or when the user is deactivated.
    """
    expires = int(time.time() + lifetime.total_seconds())
    return signing.dumps([str(user.pk), expires, user.get_session_auth_hash()], salt=_SALT)


def user_of(token: str) -> AbstractBaseUser:
    """The active user that a token stands for.

    Raises:
        TokenRefused: it is forged, expired, or revoked by a change of the password.
    """
    try:
        pk, expires, password_hash = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise TokenRefused("The token was not made here, or is incomplete.") from None
    if time.time() >= expires:
        raise TokenRefused("The token has expired. Make a new one: manage.py sagas token USER.")
    user = _active(pk)
    if user is None or not _same_password(user, password_hash):
        raise TokenRefused("The token was revoked: its user's password changed, or the user left.")
    return user


def _active(pk: str) -> AbstractBaseUser | None:
    users = get_user_model()._default_manager
    try:
        user = users.filter(pk=pk).first()
    except (ValueError, ValidationError):  # the kind of primary key has changed
        return None
    return user if user is not None and user.is_active else None


def _same_password(user: AbstractBaseUser, password_hash: str) -> bool:
    # Tokens signed under a SECRET_KEY that has been rotated out to the fallbacks stay good.
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(password_hash, known) for known in hashes)

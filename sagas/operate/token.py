"""Signed tokens that stand for a user: how services authenticate themselves.

What is sent is stored nowhere. A row for each says that it counts: so tokens are listed, end after
at most ``LONGEST``, and are revoked one by one; and whoever got hold of the secret key alone cannot
make one.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Case, QuerySet, Subquery, Value, When
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from sagas import db
from sagas.errors import SagaError, VerbRefused
from sagas.models import ApiToken
from sagas.operate import audit
from sagas.operate.verb import Operator
from sagas.run.documents import clean

LONGEST = timedelta(days=90)
"""How long a token lives at most."""
RIGHT = "sagas.change_apitoken"
"""What revokes tokens of others."""
EARLIER = UUID(int=0)
"""The row of the tokens that were issued before they were listed; migration 0018 made it."""

_SALT = "sagas.token.listed"
_EARLIER_SALT = "sagas.token"
_REASON = 1000


class TokenRefused(SagaError):
    """The token stands for nobody any more, or never did."""


@db.transacted
def issue(user: AbstractBaseUser, lifetime: timedelta, *, by: Operator, reason: str = "") -> str:
    """A token for a user; noted in the audit. It cannot be shown again.

    It ends with its lifetime, when it is revoked, with the user's password, or when the user is
    deactivated.

    Args:
        reason: what it is for.

    Raises:
        SagaError: it would live longer than ``LONGEST``, or not at all.
    """
    if not timedelta(0) < lifetime <= LONGEST:
        raise SagaError(f"A token lives for more than nothing and at most {LONGEST.days} days.")
    row = ApiToken.objects.create(
        user=clean(user.get_username(), 150),
        user_pk=str(user.pk),
        reason=clean(reason, _REASON),
        issued_by=clean(by.get_username(), 150),
        expires_at=Now() + lifetime,
    )
    row.refresh_from_db()
    audit.append(
        actor=by,
        verb="issue token",
        reason=row.reason,
        subject=f"token {row.pk}",
        after={"user": row.user, "until": row.expires_at.isoformat(timespec="seconds")},
    )
    content = [str(row.pk), str(user.pk), user.get_session_auth_hash()]
    return signing.dumps(content, salt=_SALT)


@db.transacted
def revoke(token_id: UUID, *, by: Operator, reason: str) -> ApiToken:
    """Let a token count no more, from the next request on; noted in the audit.

    Raises:
        django.core.exceptions.PermissionDenied: it stands for somebody else, and one may not.
        VerbRefused: there is no such token, it was revoked already, or there is no reason.
    """
    row = ApiToken.objects.select_for_update().filter(pk=token_id).first()
    if row is None:
        raise VerbRefused(f"There is no token {token_id}.")
    if by.get_username() != row.user and not by.has_perm(RIGHT):
        raise PermissionDenied(f"To revoke a token of somebody else needs {RIGHT!r}.")
    if not reason.strip():
        raise VerbRefused("To revoke a token needs a reason: say why.")
    if row.revoked_at is not None:
        raise VerbRefused(f"{row.revoked_by} has revoked token {token_id} already.")
    row.revoked_by = clean(by.get_username(), 150)
    ApiToken.objects.filter(pk=row.pk).update(revoked_at=Now(), revoked_by=row.revoked_by)
    audit.append(
        actor=by,
        verb="revoke token",
        reason=clean(reason, _REASON),
        subject=f"token {row.pk}",
        before={"user": row.user},
    )
    return row


def tokens() -> QuerySet[Any]:
    """Every token that was issued, the newest first, each with its ``state`` in a word."""
    state = Case(
        When(revoked_at__isnull=False, then=Value("revoked")),
        When(expires_at__lte=Now(), then=Value("expired")),
        default=Value("good"),
    )
    return ApiToken.objects.annotate(state=state)


def user_of(token: str) -> AbstractBaseUser:
    """The active user that a token stands for; ``acts_through`` tells it from one who logged in.

    Raises:
        TokenRefused: it is forged, expired, or revoked, also by a change of the password.
    """
    token_id, pk, password_hash = _read(token)
    user: Any = _active(pk, token_id)
    if user is not None and user.standing != "good":
        said = "was revoked" if user.standing == "revoked" else "has expired"
        raise TokenRefused(f"The token {said}. Make a new one: manage.py sagas token USER.")
    if user is None or not _same_password(user, password_hash):
        raise TokenRefused("The token was revoked: its user's password changed, or the user left.")
    user.acts_through = f"token {token_id}"  # for the audit
    return user  # type: ignore[no-any-return]


def _read(token: str) -> tuple[UUID, str, str]:
    """What a token says: its row, its user, and what the user's password was."""
    try:
        token_id, pk, password_hash = signing.loads(token, salt=_SALT)
        return UUID(token_id), pk, password_hash
    except signing.BadSignature:
        pass
    try:
        pk, expires, password_hash = signing.loads(token, salt=_EARLIER_SALT)
    except signing.BadSignature:
        raise TokenRefused("The token was not made here, or is incomplete.") from None
    if time.time() >= expires:
        raise TokenRefused("The token has expired. Make a new one: manage.py sagas token USER.")
    return EARLIER, pk, password_hash


def _active(pk: str, token_id: UUID) -> AbstractBaseUser | None:
    """The user with the state of their token, in one statement: each request asks for both."""
    state = Subquery(tokens().filter(pk=token_id).order_by().values("state"))
    users = get_user_model()._default_manager.annotate(standing=state)
    try:
        user = users.filter(pk=pk).first()
    except (ValueError, ValidationError):  # the kind of primary key has changed
        return None
    return user if user is not None and user.is_active else None


def _same_password(user: AbstractBaseUser, password_hash: str) -> bool:
    # Tokens signed under a SECRET_KEY that has been rotated out to the fallbacks stay good.
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(password_hash, known) for known in hashes)

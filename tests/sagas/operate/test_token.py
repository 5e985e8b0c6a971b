from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db.models.functions import Now
from pytest_django import Settings

from sagas.errors import SagaError, VerbRefused
from sagas.models import ApiToken, AuditEntry
from sagas.operate import audit
from sagas.operate.asker import Shell
from sagas.operate.token import EARLIER, LONGEST, TokenRefused, issue, revoke, tokens, user_of
from tests.sagas.operate.parked import Person

DAY = timedelta(days=1)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("shop")


def test_a_token_stands_for_its_user(user: User) -> None:
    assert user_of(issue(user, DAY, by=user)) == user


def _ended(token: str) -> str:
    ApiToken.objects.filter(user="shop").update(expires_at=Now())
    return token


def test_a_token_ends(user: User) -> None:
    with pytest.raises(TokenRefused, match="expired"):
        user_of(_ended(issue(user, DAY, by=user)))


def test_a_change_of_the_password_revokes_every_token(user: User) -> None:
    token = issue(user, DAY, by=user)
    user.set_unusable_password()  # another one than before
    user.save()
    with pytest.raises(TokenRefused, match="revoked"):
        user_of(token)
    assert user_of(issue(user, DAY, by=user)) == user


def test_a_user_who_left_has_no_token(user: User) -> None:
    token = issue(user, DAY, by=user)
    User.objects.update(is_active=False)
    with pytest.raises(TokenRefused, match="left"):
        user_of(token)
    User.objects.all().delete()
    with pytest.raises(TokenRefused, match="left"):
        user_of(token)


def test_a_token_cannot_be_changed_or_made_elsewhere(user: User) -> None:
    token = issue(user, DAY, by=user)
    forged = [token[:-1] + ("A" if token[-1] != "A" else "B"), token[1:], "", "a:b:c", "\x00"]
    forged.append(signing.dumps([str(user.pk), 9e9, user.get_session_auth_hash()]))
    for text in forged:
        with pytest.raises(TokenRefused, match="not made here"):
            user_of(text)


def test_a_token_survives_the_rotation_of_the_secret_key(user: User, settings: Settings) -> None:
    token = issue(user, DAY, by=user)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert user_of(token) == user
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(TokenRefused):
        user_of(token)


def _mine(user: User) -> ApiToken:
    return ApiToken.objects.filter(user=user.username).latest("id")


def test_a_token_lives_no_longer_than_it_may(user: User) -> None:
    for lifetime in (timedelta(0), -DAY, LONGEST + timedelta(seconds=1)):
        with pytest.raises(SagaError, match="at most 90 days"):
            issue(user, lifetime, by=Shell())
    assert not ApiToken.objects.filter(user="shop").exists()


def test_who_issued_a_token_is_in_the_audit_and_that_nobody_verified_it(user: User) -> None:
    issue(user, DAY, by=Shell("shell:root"), reason="nightly orders")
    entry = AuditEntry.objects.get()
    row = _mine(user)
    assert (entry.actor, entry.verb, entry.reason) == (
        "shell:root",
        "issue token",
        "nightly orders",
    )
    assert (entry.subject, entry.after["user"]) == (f"token {row.pk}", "shop")
    assert entry.details == {"through": "the command line, not verified"}


def test_a_token_that_cannot_be_noted_is_not_issued(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(audit, "append", full)
    with pytest.raises(OSError, match="full"):
        issue(user, DAY, by=Shell())
    assert not ApiToken.objects.filter(user="shop").exists()


def test_one_token_is_revoked_and_the_others_stay(user: User) -> None:
    first, second = (issue(user, DAY, by=Shell()) for _ in range(2))
    row = ApiToken.objects.filter(user="shop").earliest("id")
    with pytest.raises(VerbRefused, match="needs a reason"):
        revoke(row.pk, by=Shell(), reason=" ")
    with pytest.raises(PermissionDenied, match="change_apitoken"):
        revoke(row.pk, by=Person("eve", may=False), reason="x")
    revoke(row.pk, by=Person("shop", may=False), reason="it leaked")
    with pytest.raises(TokenRefused, match="was revoked"):
        user_of(first)
    assert user_of(second) == user
    with pytest.raises(VerbRefused, match="shop has revoked"):
        revoke(row.pk, by=Shell(), reason="x")
    states = tokens().filter(user="shop").order_by("id").values_list("state", flat=True)
    assert list(states) == ["revoked", "good"]


def test_a_user_tells_which_token_they_act_through(user: User) -> None:
    assert audit.through(user_of(issue(user, DAY, by=user))) == f"token {_mine(user).pk}"
    assert audit.through(user) == ""


def test_tokens_from_before_they_were_listed_count_while_their_row_does(user: User) -> None:
    ApiToken.objects.filter(pk=EARLIER).delete()
    content = [str(user.pk), int(time.time()) + 3600, user.get_session_auth_hash()]
    earlier = signing.dumps(content, salt="sagas.token")
    with pytest.raises(TokenRefused):
        user_of(earlier)
    ApiToken.objects.create(pk=EARLIER, user="(several)", expires_at=Now() + DAY)
    assert user_of(earlier) == user
    revoke(EARLIER, by=Shell(), reason="all have new ones")
    with pytest.raises(TokenRefused, match="was revoked"):
        user_of(earlier)

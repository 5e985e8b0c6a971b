from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import signing
from pytest_django import Settings

from sagas.operate.token import TokenRefused, issue, user_of

DAY = timedelta(days=1)


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("shop")


def test_a_token_stands_for_its_user(user: User) -> None:
    assert user_of(issue(user, DAY)) == user


def test_a_token_ends(user: User) -> None:
    with pytest.raises(TokenRefused, match="expired"):
        user_of(issue(user, timedelta(0)))


def test_a_change_of_the_password_revokes_every_token(user: User) -> None:
    token = issue(user, DAY)
    user.set_unusable_password()  # another one than before
    user.save()
    with pytest.raises(TokenRefused, match="revoked"):
        user_of(token)
    assert user_of(issue(user, DAY)) == user


def test_a_user_who_left_has_no_token(user: User) -> None:
    token = issue(user, DAY)
    User.objects.update(is_active=False)
    with pytest.raises(TokenRefused, match="left"):
        user_of(token)
    User.objects.all().delete()
    with pytest.raises(TokenRefused, match="left"):
        user_of(token)


def test_a_token_cannot_be_changed_or_made_elsewhere(user: User) -> None:
    token = issue(user, DAY)
    forged = [token[:-1] + ("A" if token[-1] != "A" else "B"), token[1:], "", "a:b:c", "\x00"]
    forged.append(signing.dumps([str(user.pk), 9e9, user.get_session_auth_hash()]))
    for text in forged:
        with pytest.raises(TokenRefused, match="not made here"):
            user_of(text)


def test_a_token_survives_the_rotation_of_the_secret_key(user: User, settings: Settings) -> None:
    token = issue(user, DAY)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    assert user_of(token) == user
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(TokenRefused):
        user_of(token)

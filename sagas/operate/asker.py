"""Asker: the one who asked for something that is done later, found by their name."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from sagas.errors import VerbRefused
from sagas.operate.verb import Operator


def asker(name: str) -> Operator:
    """The one who asked, with the rights that they have by now.

    Raises:
        VerbRefused: they are no active user any more.
    """
    users = get_user_model()._default_manager
    user: Any = users.filter(**{get_user_model().USERNAME_FIELD: name}).first()
    if user is None and name.startswith(_SHELL):  # no user of Django's can take that name over
        return _Shell(name)
    if user is None or not user.is_active:
        raise VerbRefused(f"{name}, who asked for this, has left.")
    return user  # type: ignore[no-any-return]


_SHELL = "shell:"


class _Shell:
    """Whoever asked at the command line, where no right is checked."""

    def __init__(self, name: str) -> None:
        self._name = name

    def has_perm(self, perm: str) -> bool:
        return True

    def get_username(self) -> str:
        return self._name

"""Asker: the one who asked for something that is done later, found by their name."""

from __future__ import annotations

import os
import pwd
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
        return Shell(name)
    if user is None or not user.is_active:
        raise VerbRefused(f"{name}, who asked for this, has left.")
    return user  # type: ignore[no-any-return]


_SHELL = "shell:"


class Shell:
    """Whoever sits at the command line: they could change the database itself.

    Their name is that of the account which the process runs as. Many may share one, and whoever
    owns the machine has each, so nobody has verified who it was: the audit says so.

    Args:
        name: of one who asked for something before; None: of this process.
    """

    acts_through = "the command line, not verified"

    def __init__(self, name: str | None = None) -> None:
        self._name = name or f"{_SHELL}{_account()}"

    def has_perm(self, perm: str) -> bool:
        """Whether they may: always."""
        return True

    def get_username(self) -> str:
        """Their name on this machine, marked as such."""
        return self._name


def unverified(name: str) -> bool:
    """Whether a name was given at the command line."""
    return name.startswith(_SHELL)


def _account() -> str:
    """From the system: what the environment says anybody may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that runs as a mere number
        return str(os.getuid())

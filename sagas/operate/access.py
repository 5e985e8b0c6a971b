"""Who may do what to runs: the one check behind every door."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from django.core.exceptions import PermissionDenied


class Right(StrEnum):
    """What a door to the engine asks of its user: Django's own model permissions."""

    START = "sagas.add_run"
    READ = "sagas.view_run"
    CHANGE = "sagas.change_run"  # cancel, signal


class Holder(Protocol):
    """Whoever may hold permissions: a user, or nobody in particular."""

    def has_perm(self, perm: str) -> bool: ...


def require(user: Holder, right: Right) -> None:
    """Let only a user who has the right pass.

    Raises:
        django.core.exceptions.PermissionDenied: the message names the missing permission.
    """
    if not user.has_perm(right):
        raise PermissionDenied(
            f"This needs the permission {right.value!r}; an administrator can grant it."
        )

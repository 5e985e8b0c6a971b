"""Who may do what to runs: the one check behind every door."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from django.contrib.auth.models import Group, PermissionsMixin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet

from sagas.models.operators import ALL_SAGAS

Rows = TypeVar("Rows", bound=QuerySet[Any])


class Right(StrEnum):
    """What a door to the engine asks of its user: Django's own model permissions."""

    START = "sagas.add_run"
    READ = "sagas.view_run"
    CHANGE = "sagas.change_run"  # every verb on one run; signal
    BATCH = "sagas.add_batch"  # a verb on many runs
    HOLD = "sagas.add_hold"  # stop a saga, a queue or a partner
    APPROVE = "sagas.approve_run"  # consent to what another asked for
    REVEAL = "sagas.reveal_run"  # see redacted fields
    AUDIT = "sagas.view_auditentry"


class Holder(Protocol):
    """Whoever may hold permissions: a user, or nobody in particular."""

    def has_perm(self, perm: str) -> bool: ...


def require(user: Holder, right: Right, saga: str | None = None) -> None:
    """Let only a user who has the right pass.

    Args:
        saga: the saga whose runs it is about; None: no particular one.

    Raises:
        django.core.exceptions.PermissionDenied: the message names the missing permission.
    """
    if not user.has_perm(right):
        raise PermissionDenied(
            f"This needs the permission {right.value!r}; an administrator can grant it."
        )
    if saga is not None and not within(user, right, saga):
        raise PermissionDenied(
            f"Your permission {right.value!r} does not hold for the saga {saga!r}; an "
            "administrator can give your group a scope that covers it."
        )


def within(user: Holder, right: Right, saga: str) -> bool:
    """Whether a user's right, which they have, holds for a saga."""
    names = scope(user, right)
    return names is None or saga in names


def visible(user: Holder, rows: Rows, right: Right = Right.READ, field: str = "saga") -> Rows:
    """Those rows whose saga a user's right holds for.

    Args:
        field: where the rows name their saga.
    """
    names = scope(user, right)
    return rows if names is None else rows.filter(**{f"{field}__in": sorted(names)})


def scope(user: Holder, right: Right) -> frozenset[str] | None:
    """The sagas that a user's right holds for; None: all of them.

    A right that comes from a group holds for the sagas that the group's scopes name: for all only
    if one of them says so, and for none if it has no scope. One from elsewhere (of the user's own,
    of a superuser) holds for all. They are asked for once in the life of a user object, as
    Django's permissions are. Who does not have the right has it for no saga.
    """
    if not user.has_perm(right):
        return frozenset()
    if not isinstance(user, PermissionsMixin) or user.is_superuser:
        return None
    if right in user.get_user_permissions():
        return None
    known: dict[str, Any] = vars(user)
    if _KEPT not in known:
        known[_KEPT] = _scopes(user)
    names: frozenset[str] | None = known[_KEPT].get(right)
    return names


_KEPT = "_saga_scopes"


def _scopes(user: PermissionsMixin) -> dict[str, frozenset[str] | None]:
    """For each right that comes from a group the sagas that it holds for."""
    codenames = [right.partition(".")[2] for right in Right]
    wanted = {
        "permissions__content_type__app_label": "sagas",
        "permissions__codename__in": codenames,
    }
    groups = Group.objects.filter(user=user.pk, **wanted)
    fields = ("permissions__codename", "saga_scopes__pk", "saga_scopes__saga")
    named: dict[str, set[str | None]] = defaultdict(set)
    for codename, scope_id, saga in groups.values_list(*fields).order_by():
        named[f"sagas.{codename}"] |= set() if scope_id is None else {saga}
    return {
        right: None if ALL_SAGAS in sagas else frozenset(filter(None, sagas))
        for right, sagas in named.items()
    }

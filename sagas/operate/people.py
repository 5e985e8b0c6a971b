"""Who logs in, and who gives or takes what people may do: noted in the audit, whatever the door.

Django's own signals tell of it: of the admin, of commands such as createsuperuser, and of a shell.
Only ``QuerySet.update`` and the ``bulk_`` methods tell nobody. An entry is written before a change
or in its transaction, so one that cannot be written stops it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db.models import Model
from django.db.models.signals import m2m_changed, pre_delete, pre_save
from django.http import HttpRequest, HttpResponse

from sagas.operate import audit, logins
from sagas.operate.asker import Shell
from sagas.operate.throttle import client_address

VERBS = frozenset(
    (
        *("login", "login failed", "logins throttled", "permissions", "account", "scope"),
        *("issue token", "revoke token", "authorize"),
    )
)
"""What is about people and access, and not about any saga."""

_FLAGS = ("is_active", "is_staff", "is_superuser")
_request: ContextVar[HttpRequest | None] = ContextVar("sagas_request", default=None)


class KnowsRequest:
    """Middleware, after Django's of authentication: the audit knows who gives and takes rights.

    And a browser in which somebody has logged in is known again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        known = _request.set(request)
        try:
            response = self._get_response(request)
        finally:
            _request.reset(known)
        logins.remember(request, response)
        return response


class _Process(Shell):
    """A process without a request of anybody's: a command, a shell, a task."""

    acts_through = "a process, not verified"


def connect() -> None:
    """Listen, once the models are there."""
    user = get_user_model()
    user_logged_in.connect(_logged_in, dispatch_uid="sagas")
    user_login_failed.connect(_failed, dispatch_uid="sagas")
    pre_save.connect(_saving, sender=user, dispatch_uid="sagas")
    for model in (user, Group):
        pre_delete.connect(_deleting, sender=model, dispatch_uid="sagas")
    for model, field in ((user, "groups"), (user, "user_permissions"), (Group, "permissions")):
        if (relation := getattr(model, field, None)) is not None:
            changed = partial(_related, field=field)
            uid = f"sagas {field}"
            m2m_changed.connect(changed, sender=relation.through, weak=False, dispatch_uid=uid)


def _logged_in(request: HttpRequest | None, user: Any, **_: Any) -> None:
    _note("login", user, details=_where(request))


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """What was tried is named only if a user is called so: else it may be a mistyped password."""
    tried = credentials.get(get_user_model().USERNAME_FIELD, credentials.get("username", ""))
    _note("login failed", _known(str(tried)), details=_where(request))


def throttled(request: HttpRequest, name: str) -> None:
    """Note that a name, an address or a browser may not try for a while."""
    _note("logins throttled", _known(name), details=_where(request))


def _known(tried: str) -> str:
    model: Any = get_user_model()
    tried = tried.replace("\x00", "")
    known = model._default_manager.filter(**{model.USERNAME_FIELD: tried}).exists()
    return tried if known else "(nobody)"


def _where(request: HttpRequest | None) -> dict[str, str]:
    return {"address": client_address(request)} if request is not None else {}


def _saving(instance: Any, update_fields: Any = None, raw: bool = False, **_: Any) -> None:
    """An account that is made with rights, or whose flags or password change."""
    watched = {*_FLAGS, "password"}
    if update_fields is not None and watched.isdisjoint(update_fields):
        return
    before = type(instance)._default_manager.filter(pk=instance.pk).first() if instance.pk else None
    was = _image(before) if before is not None else dict.fromkeys(_FLAGS[1:], False)
    became = _image(instance)
    changed = [name for name in was if was[name] != became[name]]
    details = {"password": _how(instance)} if _password_changes(before, instance) else {}
    if changed or details:
        old, new = ({name: image[name] for name in changed} for image in (was, became))
        _note("account", None, subject=_named(instance), before=old, after=new, details=details)


def _image(user: Any) -> dict[str, bool]:
    return {name: bool(getattr(user, name, False)) for name in _FLAGS}


def _password_changes(before: Any, after: Any) -> bool:
    return before is not None and before.password != after.password


def _how(user: Any) -> str:
    """A login hashes an old password anew, and so does whoever puts a hash there by hand."""
    return "changed" if getattr(user, "_password", None) is not None else "another hash"


def _deleting(instance: Any, **_: Any) -> None:
    _note("account", None, subject=_named(instance), before={"exists": True}, after={})


def _related(
    instance: Any,
    action: str,
    reverse: bool,
    model: Any,
    pk_set: set[Any] | None,
    field: str,
    **_: Any,
) -> None:
    """Of either side of the relation: a user's groups are changed as a group's users are."""
    others = model._default_manager
    if action == "pre_clear":
        rows = others.filter(**{field: instance}) if reverse else getattr(instance, field).all()
        _note_related(instance, field, sorted(map(_named, rows)), [])
    elif action in ("post_add", "post_remove") and pk_set:
        names = sorted(map(_named, others.filter(pk__in=pk_set)))
        gone = action == "post_remove"
        _note_related(instance, field, names if gone else [], [] if gone else names)


def _note_related(instance: Any, field: str, gone: list[str], come: list[str]) -> None:
    field = field.replace("_", " ")
    before, after = {field: gone} if gone else {}, {field: come} if come else {}
    if before or after:
        _note("permissions", None, subject=_named(instance), before=before, after=after)


def _named(row: Model) -> str:
    if isinstance(row, Permission):
        return ".".join((row.content_type.app_label, row.codename))
    return f"{row._meta.verbose_name} {row}"


def _note(verb: str, actor: Any, **what: Any) -> None:
    """Args: actor: None for whoever sends the request; a process if there is none."""
    audit.append(actor=actor or _actor(), verb=verb, reason="", **what)


def _actor() -> audit.Actor:
    user: Any = getattr(_request.get(), "user", None)
    return user if user is not None and user.is_authenticated else _Process()

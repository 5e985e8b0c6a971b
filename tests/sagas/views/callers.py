"""Those who call the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

from sagas.operate.access import Right
from sagas.operate.token import issue


class Caller:
    """Sends requests as one user, by token."""

    def __init__(self, user: User | None) -> None:
        self.user = user
        token = issue(user, timedelta(days=1), by=user) if user else ""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(headers=headers, raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=_named(headers))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        """``body`` is data, or raw bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.post(path, raw, "application/json", headers=_named(headers))

    def start(self, body: Any, key: str = "order:1", saga: str = "flow") -> Any:
        return self.post(f"/api/sagas/{saga}/runs", body, idempotency_key=key)

    def log_in(self) -> Client:
        """The same user in a browser instead, which checks for the CSRF token."""
        assert self.user is not None
        browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
        browser.force_login(self.user)
        return browser


class LoggedIn(Caller):
    """Sends requests as one user who has logged in."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(raise_request_exception=False)
        self.client.force_login(user)


MakeCaller = Callable[..., Caller]


def make_caller(*rights: Right) -> Caller:
    """A new user with these permissions."""
    user = User.objects.create_user(f"user-{User.objects.count()}")
    for right in rights:
        user.user_permissions.add(Permission.objects.get(codename=right.split(".")[1]))
    return Caller(user)


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}

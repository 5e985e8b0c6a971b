"""Tokens are listed and revoked in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from sagas.models import ApiToken, AuditEntry
from sagas.operate.asker import Shell
from sagas.operate.token import issue

pytestmark = pytest.mark.django_db
PAGE = "/admin/sagas/apitoken/"


def as_user(client: Client, *codenames: str) -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def said(page: Any) -> str:
    return " ".join(str(message) for message in page.context["messages"])


def token_of(name: str) -> ApiToken:
    user = User.objects.create_user(name)
    issue(user, timedelta(days=1), by=Shell(), reason="<b>orders")
    return ApiToken.objects.get(user=name)


def test_a_token_is_listed_and_revoked(client: Client) -> None:
    row, ann = token_of("shop"), as_user(client, "view_apitoken", "change_apitoken")
    html = ann.get(PAGE).content.decode()
    assert "✓ good" in html
    assert "&lt;b&gt;orders" in html
    chosen = {"action": "revoke", "_selected_action": str(row.pk)}
    refused = ann.post(PAGE, {**chosen, "reason": ""}, follow=True)
    assert "needs a reason" in said(refused)
    page = ann.post(PAGE, {**chosen, "reason": "it leaked"}, follow=True)
    assert "Revoked 1 token" in said(page)
    assert "✕ revoked" in page.content.decode()
    entry = AuditEntry.objects.latest("number")
    assert (entry.actor, entry.verb, entry.details) == ("ann", "revoke token", {})
    assert "✕ revoked" in ann.get(f"{PAGE}{row.pk}/change/").content.decode()


def test_who_may_only_look_revokes_nothing(client: Client) -> None:
    row, ann = token_of("shop"), as_user(client, "view_apitoken")
    ann.post(PAGE, {"action": "revoke", "_selected_action": str(row.pk), "reason": "x"})
    assert ApiToken.objects.get(pk=row.pk).revoked_at is None

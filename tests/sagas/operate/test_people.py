"""Who logs in and who may what is in the audit, whatever the door."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from sagas.models import AuditEntry
from sagas.operate import audit
from sagas.operate.asker import Shell

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("people_audited")]
LOGIN = "/admin/login/"


def entries() -> list[Any]:
    return list(AuditEntry.objects.order_by("number"))


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann", password="right", is_staff=False)


def test_a_login_is_noted_and_a_failed_one_without_the_password(ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post(LOGIN, {"username": "ann", "password": "wr0ng-secret"})
    client.post(LOGIN, {"username": "hunter2-typed-in-the-wrong-field", "password": "x"})
    client.post(LOGIN, {"username": "ann", "password": "right"})
    assert [(e.actor, e.verb) for e in entries()] == [
        ("ann", "login failed"),
        ("(nobody)", "login failed"),
        ("ann", "login"),
    ]
    for link in audit.chain():
        assert "wr0ng" not in link.text
        assert "hunter2" not in link.text
        assert "192.0.2.7" in link.text


def test_rights_that_are_given_in_the_admin_are_noted_with_who_gave_them(ann: User) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))
    group = Group.objects.create(name="shop")
    may = Permission.objects.get(codename="reveal_run")
    group_page = f"/admin/auth/group/{group.pk}/change/"
    root.post(group_page, {"name": "shop", "permissions": [may.pk]})
    root.post(group_page, {"name": "shop", "permissions": []})
    page = f"/admin/auth/user/{ann.pk}/change/"
    joined = {"username": "ann", "is_active": "on", "date_joined_0": "2026-01-01"}
    root.post(page, {**joined, "date_joined_1": "00:00:00", "groups": [group.pk], "is_staff": "on"})
    ours = [e for e in entries() if e.actor == "root" and e.verb != "login"]
    assert [(e.verb, e.subject, e.before, e.after) for e in ours] == [
        ("permissions", "group shop", {}, {"permissions": ["sagas.reveal_run"]}),
        ("permissions", "group shop", {"permissions": ["sagas.reveal_run"]}, {}),
        ("account", "user ann", {"is_staff": False}, {"is_staff": True}),
        ("permissions", "user ann", {}, {"groups": ["group shop"]}),
    ]
    assert all("through" not in e.details for e in ours)


def test_rights_that_are_given_at_a_command_line_are_noted_as_not_verified(ann: User) -> None:
    call_command("createsuperuser", username="eve", email="e@example.com", interactive=False)
    ann.user_permissions.add(Permission.objects.get(codename="approve_run"))
    ann.user_permissions.clear()
    ann.set_password("another")
    ann.save()
    ann.delete()
    told = [(e.verb, e.subject, e.before, e.after) for e in entries()]
    right = {"user permissions": ["sagas.approve_run"]}
    flags = ({"is_staff": False, "is_superuser": False}, {"is_staff": True, "is_superuser": True})
    assert told == [
        ("account", "user eve", *flags),
        ("permissions", "user ann", {}, right),
        ("permissions", "user ann", right, {}),
        ("account", "user ann", {}, {}),
        ("account", "user ann", {"exists": True}, {}),
    ]
    assert entries()[3].details["password"] == "changed"
    assert {e.details["through"] for e in entries()} == {"a process, not verified"}
    assert {e.actor for e in entries()} == {Shell().get_username()}


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_noted_does_not_happen(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**entry: Any) -> None:
        raise OSError("the disk is full")

    User.objects.filter(pk=ann.pk).update(is_staff=True)
    monkeypatch.setattr(audit, "append", full)
    with pytest.raises(OSError, match="full"):
        ann.user_permissions.add(Permission.objects.get(codename="approve_run"))
    assert not ann.user_permissions.exists()
    with pytest.raises(OSError, match="full"):
        User.objects.create_superuser("eve")
    assert not User.objects.filter(username="eve").exists()
    client = Client(raise_request_exception=False)
    answer = client.post(LOGIN, {"username": "ann", "password": "right"})
    assert answer.status_code == 500
    assert client.get("/admin/").status_code == 302, "nobody is logged in"


def test_a_password_that_a_login_hashes_anew_is_told_from_another_one(
    ann: User, settings: Settings
) -> None:
    fast = "django.contrib.auth.hashers.MD5PasswordHasher"
    settings.PASSWORD_HASHERS = [fast, *settings.PASSWORD_HASHERS]
    assert User.objects.get(pk=ann.pk).check_password("right")
    assert [e.details["password"] for e in entries()] == ["another hash"]


def test_an_account_without_rights_is_no_news(ann: User) -> None:
    ann.last_name = "Lee"
    ann.save()
    ann.save(update_fields=["last_login"])
    assert entries() == []


def test_either_side_of_a_groups_members_is_noted(ann: User) -> None:
    group = Group.objects.create(name="shop")
    group.user_set.add(ann)
    group.user_set.clear()
    group.delete()
    assert [(e.verb, e.subject, e.before, e.after) for e in entries()] == [
        ("permissions", "group shop", {}, {"groups": ["user ann"]}),
        ("permissions", "group shop", {"groups": ["user ann"]}, {}),
        ("account", "group shop", {"exists": True}, {}),
    ]

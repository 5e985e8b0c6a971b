"""The people of the stories: one of each group, and how they log in."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

from playwright.sync_api import Page

PASSWORD = "correct horse battery staple"
PEOPLE = {
    "viewer": "Saga viewers",
    "operator": "Saga operators",
    "colleague": "Saga operators",
    "approver": "Saga approvers",
}
"""Each person's group; there is a superuser as well."""

SUPERUSER = "root"


def make_people() -> None:
    """Make the groups and everybody in them, and the superuser, all with the same password.

    The groups come from migrations, and a test that flushes the tables takes them away.
    """
    from django.apps import apps
    from django.contrib.auth.hashers import MD5PasswordHasher
    from django.contrib.auth.models import Group, User
    from django.db import connection

    import_module("sagas.migrations.0005_audit").make_groups(apps, None)
    import_module("integrations.migrations.0003_operators").give(apps, None)
    import_module("sagas.migrations.0016_all_sagas").say_all(
        apps, SimpleNamespace(connection=connection)
    )
    secret = MD5PasswordHasher().encode(PASSWORD, "salt")  # slow ones are not what we test
    for name, group in PEOPLE.items():
        person = User.objects.create(username=name, password=secret, is_staff=True)
        person.groups.add(Group.objects.get(name=group))
    User.objects.create(username=SUPERUSER, password=secret, is_staff=True, is_superuser=True)


def login(page: Page, username: str, then: str = "/admin/", password: str = PASSWORD) -> None:
    """Log in through the form; the page is at `then` afterwards."""
    page.goto(f"/admin/login/?next={quote(then)}")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: urlsplit(url)._replace(scheme="", netloc="").geturl() == then)

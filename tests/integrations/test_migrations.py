"""What migrations of the partners do to rows of others."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission, User

from integrations.webhooks.replay import RIGHT

pytestmark = pytest.mark.django_db

VIEWS = {
    "integrations.view_webhookevent",
    "integrations.view_partnerobject",
    "integrations_oauth.view_token",
}
operators: Any = import_module("integrations.migrations.0003_operators")


@pytest.fixture(autouse=True)
def groups() -> None:
    """As the migrations leave them, also where an earlier test has emptied the tables."""
    import_module("sagas.migrations.0005_audit").make_groups(apps, None)
    operators.give(apps, None)


def rights(group: str) -> set[str]:
    user = User.objects.create_user(group)
    user.groups.add(Group.objects.get(name=group))
    return {right for right in user.get_all_permissions() if right.startswith("integrations")}


def test_viewers_and_approvers_see_what_comes_in_and_operators_have_it_handled_again() -> None:
    assert rights("Saga viewers") == rights("Saga approvers") == VIEWS
    assert rights("Saga operators") == {*VIEWS, RIGHT}


def test_the_permissions_are_those_that_django_makes() -> None:
    made = dict(Permission.objects.values_list("codename", "name"))
    assert all(made[codename] == words for (_, codename), words in operators.WORDS.items())
    Permission.objects.filter(codename__in=[codename for _, codename in operators.WORDS]).delete()
    for name in ("integrations", "integrations_oauth"):
        create_permissions(apps.get_app_config(name), verbosity=0)
    assert dict(Permission.objects.values_list("codename", "name")) == made


def test_a_group_that_somebody_has_removed_stays_so() -> None:
    Group.objects.filter(name="Saga viewers").delete()
    operators.give(apps, None)
    assert not Group.objects.filter(name="Saga viewers").exists()


def test_it_can_be_taken_back() -> None:
    operators.take(apps, None)
    assert rights("Saga operators") == set()

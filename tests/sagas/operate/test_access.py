from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.exceptions import PermissionDenied

from sagas.models import Run, Scope
from sagas.operate.access import Right, require, scope, visible
from tests.sagas.statements import counted


@pytest.mark.django_db
def test_every_right_is_a_permission_that_django_knows() -> None:
    known = {
        f"sagas.{p.codename}" for p in Permission.objects.filter(content_type__app_label="sagas")
    }
    assert set(Right) <= known


@pytest.mark.django_db
def test_only_who_holds_the_right_passes() -> None:
    user = User.objects.create_user("ada")
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    require(user, Right.READ)
    with pytest.raises(PermissionDenied, match="change_run"):
        require(user, Right.CHANGE)


def test_nobody_in_particular_has_no_right() -> None:
    with pytest.raises(PermissionDenied):
        require(AnonymousUser(), Right.READ)


# --- the sagas of a group ------------------------------------------------------------------


@pytest.fixture
def members(db: None) -> Callable[..., User]:
    """Makes a user of groups, each given by the sagas of its scope; every group may view runs."""

    def made(*scopes: list[str | None]) -> User:
        user = User.objects.create_user(f"user{User.objects.count()}")
        for sagas in scopes:
            group = Group.objects.create(name=f"group{Group.objects.count()}")
            group.permissions.add(Permission.objects.get(codename="view_run"))
            Scope.objects.bulk_create([Scope(group=group, saga=saga) for saga in sagas])
            user.groups.add(group)
        return user

    return made


def test_a_group_that_says_so_reaches_every_saga(members: Callable[..., User]) -> None:
    members(["other"])
    assert scope(members([None]), Right.READ) is None


def test_a_group_that_loses_its_last_scope_reaches_no_saga(members: Callable[..., User]) -> None:
    user = members(["a"])
    Scope.objects.all().delete()
    user = User.objects.get(pk=user.pk)
    assert scope(user, Right.READ) == frozenset()
    with pytest.raises(PermissionDenied, match="give your group a scope"):
        require(user, Right.READ, "a")
    Run.objects.create(saga="a", version=1, business_key="k", payload={}, status="pending")
    assert not visible(user, Run.objects.all()).exists()


def test_a_scope_restricts_and_several_add_up(members: Callable[..., User]) -> None:
    user = members(["a", "b"], ["c"])
    assert scope(user, Right.READ) == frozenset("abc")
    require(user, Right.READ, "c")
    with pytest.raises(PermissionDenied, match="does not hold for the saga 'd'"):
        require(user, Right.READ, "d")
    assert scope(members(["a"], [None]), Right.READ) is None
    assert scope(members(["a"], []), Right.READ) == frozenset("a")


def test_a_right_of_the_users_own_reaches_every_saga(members: Callable[..., User]) -> None:
    user = members(["a"])
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    assert scope(user, Right.READ) is None
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    assert scope(User.objects.get(pk=user.pk), Right.CHANGE) is None


def test_a_scope_counts_for_the_rights_of_its_group_only(members: Callable[..., User]) -> None:
    user = members(["a"], ["b"])
    user.groups.latest("id").permissions.add(Permission.objects.get(codename="change_run"))
    assert scope(user, Right.CHANGE) == frozenset("b")


def test_rows_of_other_sagas_are_not_seen(members: Callable[..., User]) -> None:
    for saga in ("a", "b"):
        Run.objects.create(saga=saga, version=1, business_key="k", payload={}, status="pending")
    seen = visible(members(["b"]), Run.objects.all())
    assert [run.saga for run in seen] == ["b"]


def test_the_scopes_of_a_user_are_asked_for_once(members: Callable[..., User]) -> None:
    user = User.objects.get(pk=members(["a"]).pk)
    scope(user, Right.READ)
    with counted() as statements:
        assert scope(user, Right.READ) == frozenset("a")
    assert statements == []


def test_the_groups_of_the_migration_may_what_their_names_say(db: None) -> None:
    from importlib import import_module

    from django.apps import apps

    import_module("sagas.migrations.0005_audit").make_groups(apps, None)
    may = {
        name: set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))
        for name in ("Saga viewers", "Saga operators", "Saga approvers")
    }
    viewers = may["Saga viewers"]
    assert all(codename.startswith("view_") for codename in viewers)
    assert {"view_run", "view_auditentry", "view_batch"} <= viewers
    assert may["Saga approvers"] - viewers == {"approve_run"}
    assert {"change_run", "add_batch", "add_hold"} <= may["Saga operators"]
    assert "approve_run" not in may["Saga operators"]


def test_each_group_that_reached_all_sagas_says_so_after_the_migration(db: None) -> None:
    from importlib import import_module
    from types import SimpleNamespace

    from django.apps import apps
    from django.db import connection

    Group.objects.all().delete()
    unscoped, scoped, other = (Group.objects.create(name=name) for name in ("u", "s", "o"))
    for group in (unscoped, scoped):
        group.permissions.add(*Permission.objects.filter(codename__in=["view_run", "add_hold"]))
    other.permissions.add(Permission.objects.get(codename="view_user"))
    Scope.objects.create(group=scoped, saga="a")
    import_module("sagas.migrations.0016_all_sagas").say_all(
        apps, SimpleNamespace(connection=connection)
    )
    assert sorted(map(str, Scope.objects.all())) == ["s: a", "u: all sagas"]


def test_the_migration_knows_every_right() -> None:
    from importlib import import_module

    known = import_module("sagas.migrations.0016_all_sagas").RIGHTS
    assert {f"sagas.{codename}" for codename in known} == set(Right)


def test_who_lacks_a_right_has_it_for_no_saga(members: Callable[..., User]) -> None:
    Run.objects.create(saga="a", version=1, business_key="k", payload={}, status="pending")
    for user in (members(["a"]), members([None]), AnonymousUser()):
        assert scope(user, Right.BATCH) == frozenset()
        assert not visible(user, Run.objects.all(), Right.BATCH).exists()

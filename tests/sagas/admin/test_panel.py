from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.utils.timezone import now

from sagas.admin.panel import SagaPanel
from sagas.define import registry
from sagas.models import Run, Scope, uuid7
from tests.sagas.statements import counted


class GroupAdmin(SagaPanel):
    """Django's groups stand for whatever runs may be about."""

    fields = ("name",)

    def saga_key(self, obj: Model) -> str:
        return f"group:{obj.pk}"


class FlowAdmin(GroupAdmin):
    saga_names = ("flow",)


@pytest.fixture
def subject(db: None) -> Iterator[Group]:
    with registry.isolated():
        yield Group.objects.create(name="the object")


def made(subject: Group, saga: str = "flow", **values: Any) -> Run:
    return Run.objects.create(
        **{
            **{"id": uuid7(), "saga": saga, "version": 1, "business_key": f"group:{subject.pk}"},
            **{"payload": {"secret": 1}, "status": "running", **values},
        }
    )


def user(*codenames: str, scope: str = "") -> User:
    found = User.objects.create_user(uuid4().hex, is_staff=True)
    group = Group.objects.create(name=found.username)
    wanted = ("view_group", "change_group", *codenames)
    group.permissions.set(Permission.objects.filter(codename__in=wanted))
    Scope.objects.create(group=group, saga=scope or None)
    found.groups.add(group)
    return found


def page(subject: Group, user: User, kind: type[GroupAdmin] = GroupAdmin) -> str:
    request = RequestFactory().get("/")
    request.user = user
    response: Any = kind(Group, admin.site).change_view(request, str(subject.pk))
    return str(response.render().content.decode())


def test_an_objects_page_shows_its_runs_and_no_others(subject: Group) -> None:
    run = made(subject, status="needs_attention", attention="it is <b>broken")
    other = made(Group.objects.create(name="another"))
    seen = page(subject, user("view_run"))
    assert f"/admin/sagas/run/{run.id}/change/" in seen
    assert "needs attention" in seen
    assert "it is &lt;b&gt;broken" in seen
    assert str(other.id) not in seen


def test_the_newest_runs_come_first_with_their_age(subject: Group) -> None:
    first, second = made(subject), made(subject, "flow2", status="succeeded", finished_at=now())
    Run.objects.filter(pk=first.pk).update(created_at=now() - timedelta(minutes=5, seconds=1))
    seen = page(subject, user("view_run"))
    assert seen.index(str(second.id)) < seen.index(str(first.id))
    assert "for 5 min" in seen
    assert "took " in seen


def test_a_panel_may_name_its_sagas(subject: Group) -> None:
    run, other = made(subject), made(subject, "another")
    seen = page(subject, user("view_run"), FlowAdmin)
    assert str(run.id) in seen
    assert str(other.id) not in seen


def test_an_object_without_runs_says_so(subject: Group) -> None:
    assert "none" in page(subject, user("view_run")).partition("Sagas")[2]


def test_the_objects_own_fields_stay(subject: Group) -> None:
    assert 'name="name"' in page(subject, user("view_run"))


def test_runs_are_shown_to_those_who_may_see_them(subject: Group) -> None:
    run = made(subject)
    assert str(run.id) not in page(subject, user())
    assert str(run.id) not in page(subject, user("view_run", scope="another"))
    assert str(run.id) in page(subject, user("view_run", scope="flow"))


def test_a_panel_costs_the_same_for_one_run_and_for_many(subject: Group) -> None:
    made(subject, "flow0")
    viewer = user("view_run")
    page(subject, viewer)  # warm
    with counted() as few:
        page(subject, viewer)
    for number in range(1, 30):
        made(subject, f"flow{number}")
    with counted() as many:
        assert page(subject, viewer).count('/change/"><bdi>flow') == 20
    assert len(many) == len(few)
    assert not any('"payload"' in statement for statement in many)


def test_a_new_object_has_no_panel(subject: Group) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("root")
    response: Any = GroupAdmin(Group, admin.site).add_view(request)
    assert "Sagas" not in response.render().content.decode().partition('id="content')[2]


def test_an_object_is_saved_as_before(subject: Group, client: Client) -> None:
    made(subject)
    request = RequestFactory().post("/", {"name": "renamed", "_save": "Save"})
    request.user = User.objects.create_superuser("root")
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    request._messages = _Messages()  # type: ignore[attr-defined]
    GroupAdmin(Group, admin.site).change_view(request, str(subject.pk))
    subject.refresh_from_db()
    assert subject.name == "renamed"


class _Messages:
    def add(self, *args: object) -> None:
        """Nobody reads it."""

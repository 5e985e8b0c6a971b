from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User

from sagas.errors import VerbRefused
from sagas.models import Run, Scope, uuid7
from sagas.operate.selection import Selection
from sagas.states import RunStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return User.objects.create_superuser("ann")


def made(key: str, **values: Any) -> Run:
    fixed = {"saga": "gone", "version": 1, "fingerprint": "f", "status": "running"}
    return Run.objects.create(
        **{"id": uuid7(), "business_key": key, "payload": {}, **fixed, **values}
    )


@pytest.mark.parametrize(
    ("chosen", "query"),
    [
        ({"saga": "other"}, "saga=other"),
        ({"status": "pending"}, "status=pending"),
        ({"error_group": "b: no & stock"}, "error_group=b%3A+no+%26+stock"),
        ({"tag": "blue"}, "tag=blue"),
        ({"owner": "bob"}, "owner=bob"),
    ],
)
def test_runs_are_chosen_by_each_part_and_the_query_says_it(
    ann: User, chosen: dict[str, Any], query: str
) -> None:
    made("no", owner="eve")
    values = {"tags": [chosen["tag"], "red"]} if "tag" in chosen else chosen
    wanted = made("yes", **values)
    selection = Selection(**chosen)
    assert list(selection.runs(ann)) == [wanted]
    assert selection.query == query


def test_an_empty_owner_means_nobody(ann: User) -> None:
    wanted = made("yes")
    made("no", owner="bob")
    assert list(Selection(owner="").runs(ann)) == [wanted]
    assert Selection(owner="").query == "owner=%40nobody"


def test_all_parts_must_fit(ann: User) -> None:
    made("a", owner="bob")
    made("b", owner="bob", status="pending")
    assert [r.business_key for r in Selection(owner="bob", status=RunStatus.PENDING).runs(ann)] == [
        "b"
    ]


def test_nothing_never_means_everything(ann: User) -> None:
    with pytest.raises(VerbRefused, match="Say which runs"):
        Selection().runs(ann)


def test_a_saga_that_never_was_is_a_slip_but_one_whose_code_is_gone_is_not(ann: User) -> None:
    with pytest.raises(VerbRefused, match="There is no saga 'gone'"):
        Selection(saga="gone").runs(ann)
    made("yes")
    assert Selection(saga="gone").runs(ann).count() == 1


def test_only_sagas_within_ones_scope_are_chosen() -> None:
    group = Group.objects.create(name="only mine")
    group.permissions.add(Permission.objects.get(codename="view_run"))
    Scope.objects.create(group=group, saga="mine")
    bob = User.objects.create_user("bob")
    bob.groups.add(group)
    made("no")
    wanted = made("yes", saga="mine")
    assert list(Selection(status=RunStatus.RUNNING).runs(bob)) == [wanted]

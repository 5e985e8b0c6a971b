from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.core.exceptions import PermissionDenied

from sagas.operate.access import Right, require


@pytest.mark.django_db
def test_every_right_is_a_permission_that_django_knows() -> None:
    known = {f"sagas.{p.codename}" for p in Permission.objects.filter(content_type__model="run")}
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

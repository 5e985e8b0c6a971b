"""A browser of somebody who may view the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# Models cannot be imported yet where pytest is given this directory: it reads this file early.
if TYPE_CHECKING:
    from django.test import Client


@pytest.fixture
def viewer(client: Client, db: None) -> Client:
    from django.contrib.auth.models import Permission, User

    user = User.objects.create_user("viewer", is_staff=True)
    viewing = Permission.objects.filter(
        content_type__app_label="sagas", codename__startswith="view_"
    )
    user.user_permissions.set(viewing)
    client.force_login(user)
    return client

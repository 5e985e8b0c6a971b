"""Users whose rights hold for some sagas only."""

from __future__ import annotations

from django.contrib.auth.models import Group, Permission, User

from sagas.models import Scope


def scoped(name: str, *sagas: str, also: str = "") -> User:
    """Somebody who may view the record, as far as it is of these sagas.

    Args:
        also: a further permission on runs, by its codename.
    """
    group = Group.objects.create(name=f"those of {', '.join(sagas)}")
    viewing = Permission.objects.filter(
        content_type__app_label="sagas", codename__startswith="view_"
    )
    group.permissions.set(viewing | Permission.objects.filter(codename=also))
    for saga in sagas:
        Scope.objects.create(group=group, saga=saga)
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(group)
    return user

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from sagas.models import Scope
from tests.sagas.flows import flow
from tests.sagas.stage import Known

pytestmark = pytest.mark.django_db
PAGE = "/admin/sagas/scope/add/"


def test_a_group_is_restricted_to_a_saga_that_there_is(client: Client, known: Known) -> None:
    known(flow(["a"]))
    client.force_login(User.objects.create_superuser("root"))
    group = Group.objects.create(name="shop")
    refused = client.post(PAGE, {"group": group.pk, "saga": "none"})
    assert "Select a valid choice" in str(refused.context["adminform"].form.errors)
    client.post(PAGE, {"group": group.pk, "saga": "flow"})
    assert str(Scope.objects.get()) == "shop: flow"
    assert b"shop" in client.get("/admin/sagas/scope/").content


def test_an_operator_restricts_nobody(client: Client) -> None:
    client.force_login(User.objects.create_user("ann", is_staff=True))
    assert client.get(PAGE).status_code == 403

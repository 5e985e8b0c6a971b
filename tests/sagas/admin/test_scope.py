from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from sagas.models import AuditEntry, Scope
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


def test_who_widens_or_narrows_a_groups_rights_is_in_the_audit(
    client: Client, known: Known
) -> None:
    for name in ("flow", "other"):
        known(flow(["a"], name))
    client.force_login(User.objects.create_superuser("root"))
    group = Group.objects.create(name="shop")
    client.post(PAGE, {"group": group.pk, "saga": "flow"})
    scope = Scope.objects.get()
    client.post(f"/admin/sagas/scope/{scope.pk}/change/", {"group": group.pk, "saga": "other"})
    client.post(f"/admin/sagas/scope/{scope.pk}/delete/", {"post": "yes"})
    client.post(PAGE, {"group": group.pk, "saga": "flow"})
    chosen = {"action": "delete_selected", "_selected_action": Scope.objects.get().pk, "post": "y"}
    client.post("/admin/sagas/scope/", chosen)
    assert not Scope.objects.exists()
    flow_, other = ({"group": "shop", "saga": name} for name in ("flow", "other"))
    entries = AuditEntry.objects.order_by("number").values_list("actor", "verb", "before", "after")
    changes = [({}, flow_), (flow_, other), (other, {}), ({}, flow_), (flow_, {})]
    assert list(entries) == [("root", "scope", before, after) for before, after in changes]

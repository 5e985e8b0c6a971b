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
    assert str(group.saga_scopes.get()) == "shop: flow"
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
    scope = group.saga_scopes.get()
    client.post(f"/admin/sagas/scope/{scope.pk}/change/", {"group": group.pk, "saga": "other"})
    client.post(f"/admin/sagas/scope/{scope.pk}/delete/", {"post": "yes"})
    client.post(PAGE, {"group": group.pk, "saga": "flow"})
    chosen = {
        "action": "delete_selected",
        "_selected_action": group.saga_scopes.get().pk,
        "post": "y",
    }
    client.post("/admin/sagas/scope/", chosen)
    assert not group.saga_scopes.exists()
    flow_, other = ({"group": "shop", "saga": name} for name in ("flow", "other"))
    entries = AuditEntry.objects.order_by("number").values_list("actor", "verb", "before", "after")
    changes = [({}, flow_), (flow_, other), (other, {}), ({}, flow_), (flow_, {})]
    assert list(entries) == [("root", "scope", before, after) for before, after in changes]


def test_all_sagas_is_a_choice_and_never_made_in_advance(client: Client, known: Known) -> None:
    known(flow(["a"]))
    client.force_login(User.objects.create_superuser("root"))
    group = Group.objects.create(name="shop")
    assert b'<option value="*">All sagas' in client.get(PAGE).content
    refused = client.post(PAGE, {"group": group.pk, "saga": ""})
    assert "This field is required" in str(refused.context["adminform"].form.errors)
    client.post(PAGE, {"group": group.pk, "saga": "*"})
    scope = group.saga_scopes.get()
    assert str(scope) == "shop: all sagas"
    page = client.get(f"/admin/sagas/scope/{scope.pk}/change/").content
    assert b'<option value="*" selected>All sagas' in page
    again = client.post(PAGE, {"group": group.pk, "saga": "*"})
    assert again.status_code == 200, "once is enough"
    assert AuditEntry.objects.get().after == {"group": "shop", "saga": "all sagas"}


def test_who_removes_the_last_scope_is_told_what_that_means(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    group = Group.objects.create(name="shop")
    first, last = (Scope.objects.create(group=group, saga=name) for name in ("a", "b"))
    for scope, told in ((first, False), (last, True)):
        page = client.post(f"/admin/sagas/scope/{scope.pk}/delete/", {"post": "yes"}, follow=True)
        assert (b"Members of shop reach no saga" in page.content) is told

"""The audit in the admin: read, searched, and exported by who may see all of it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from sagas.models import AuditEntry, Scope
from sagas.operate.audit import append
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db
PAGE = "/admin/sagas/auditentry/"
RUN = UUID(int=7)


@pytest.fixture(autouse=True)
def entries() -> None:
    details = {"step": "b", "changed": {"city": ["Rome", "Oslo"]}, "email": "a@b.c"}
    append(
        actor="ann", verb="retry", reason="<b>why</b>", run=RUN, saga="flow", step="b",
        before={"status": "needs_attention"}, after={"status": "running"}, details=details,
    )  # fmt: skip
    append(actor="bob", verb="hold", reason="down", subject="queue payments")


def reader(client: Client, *more: str) -> Client:
    user = User.objects.create_user("vic", is_staff=True)
    names = ["view_auditentry", *more]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def numbers(page: Any) -> list[int]:
    return [entry.number for entry in page.context["cl"].result_list]


def test_entries_are_listed_and_found_by_who_and_by_run(client: Client) -> None:
    vic = reader(client)
    assert numbers(vic.get(PAGE)) == [2, 1]
    assert numbers(vic.get(f"{PAGE}?q=ann")) == [1]
    assert numbers(vic.get(f"{PAGE}?q={RUN}")) == [1]
    assert numbers(vic.get(f"{PAGE}?verb=hold")) == [2]
    html = vic.get(PAGE).content.decode()
    assert "&lt;b&gt;why" in html
    assert "<b>why" not in html
    assert "status: needs_attention → running" in html
    assert f"/admin/sagas/run/{RUN}/change/" in html


def test_a_search_that_is_no_id_breaks_nothing(client: Client) -> None:
    vic = reader(client)
    for text in ("x%00", "'", "%F0%9F%98%80"):
        assert vic.get(f"{PAGE}?q={text}").status_code == 200


def test_what_was_entered_is_redacted_unless_one_may_see_it(client: Client) -> None:
    page = f"{PAGE}1/change/"
    html = reader(client).get(page).content.decode()
    assert "Oslo" not in html
    assert "a@b.c" not in html
    User.objects.all().delete()
    assert "Oslo" in reader(client, "reveal_run").get(page).content.decode()


def test_nobody_changes_or_removes_an_entry(client: Client) -> None:
    client.force_login(User.objects.create_superuser("root"))
    assert client.get(f"{PAGE}add/").status_code == 403
    assert client.post(f"{PAGE}1/delete/", {"post": "yes"}).status_code == 403
    assert AuditEntry.objects.count() == 2


def test_the_export_is_for_who_may_see_everything(client: Client) -> None:
    assert reader(client).get(f"{PAGE}export/").status_code == 403
    User.objects.all().delete()
    answer = reader(client, "reveal_run").get(f"{PAGE}export/")
    lines = [json.loads(line) for line in answer.getvalue().decode().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert lines[1]["previous"] == lines[0]["hash"]
    last = lines[2]
    assert (last["actor"], last["verb"], last["subject"]) == ("vic", "export", "audit")


def test_those_of_some_sagas_see_the_entries_of_these_and_of_none(client: Client) -> None:
    append(actor="ann", verb="retry", reason="x", run=uuid4(), saga="other")
    group = Group.objects.create(name="some")
    names = ["view_auditentry", "view_run", "reveal_run"]
    group.permissions.set(Permission.objects.filter(codename__in=names))
    Scope.objects.create(group=group, saga="flow")
    user = User.objects.create_user("cid", is_staff=True)
    user.groups.add(group)
    client.force_login(user)
    assert numbers(client.get(PAGE)) == [2, 1]
    assert client.get(f"{PAGE}export/").status_code == 403


def test_a_list_costs_the_same_for_few_and_for_many(client: Client) -> None:
    vic = reader(client)
    vic.get(PAGE)
    with counted() as few:
        vic.get(PAGE)
    for _ in range(20):
        append(actor="ann", verb="retry", reason="x", run=uuid4(), saga="flow")
    with counted() as many:
        vic.get(PAGE)
    assert len(many) == len(few) <= 8


def test_documents_that_no_model_describes_are_not_shown(client: Client) -> None:
    result = {"result": {"holder": "Ann Smith"}}
    append(actor="ann", verb="skip", reason="x", run=RUN, saga="gone", step="b", details=result)
    append(actor="ann", verb="batch skip", reason="x", details={"arguments": result})
    vic = reader(client)
    pages = [vic.get(f"{PAGE}{number}/change/").content.decode() for number in (3, 4)]
    assert all("holder" in page and "Ann Smith" not in page for page in pages)

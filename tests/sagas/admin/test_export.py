from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from sagas.admin import export
from sagas.define import registry
from sagas.models import AuditEntry, Run
from tests.sagas.admin.people import scoped
from tests.sagas.admin.records import run
from tests.sagas.flows import flow
from tests.sagas.statements import counted

PAGE = "/admin/sagas/run/export/"


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        registry.register(flow(["a"]))
        yield


def asked(viewer: Client, **query: str) -> Any:
    return viewer.get(f"{PAGE}?{urlencode(query)}")


def text(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def lines(viewer: Client, **query: str) -> list[dict[str, Any]]:
    response = asked(viewer, format="jsonl", **query)
    return [json.loads(line) for line in text(response).splitlines()]


def table(viewer: Client, **query: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text(asked(viewer, format="csv", **query)).splitlines()))


def test_all_that_match_are_exported_the_oldest_first(viewer: Client) -> None:
    for number in range(60):  # more than a page of the list
        run(f"order:{number}", tags=["a", "b"])
    run("other", status="needs_attention", attention="why")
    keys = [f"order:{number}" for number in range(60)]
    assert [row["business_key"] for row in lines(viewer, status="running", p="2")] == keys
    rows = table(viewer, status="running")
    assert [row["business_key"] for row in rows] == keys
    assert rows[0]["tags"] == "a b"
    assert lines(viewer, q="other")[0]["attention"] == "why"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff20"])
def test_no_cell_is_a_formula(viewer: Client, start: str) -> None:
    made = run(f"{start}HYPERLINK(1)")
    Run.objects.filter(pk=made.pk).update(owner=f"{start}1", tags=[f"{start}1"])
    shown = text(asked(viewer, format="csv"))
    for cell in ("HYPERLINK(1)", "1"):
        assert f"'{start}{cell}" in shown
    (row,) = csv.DictReader(shown.splitlines(keepends=True))
    assert not any(cell.startswith(start) for cell in row.values())


@pytest.mark.parametrize("separator", [";", "\t", "|", "\n", "\r", ';"', "; ", ';"" "', "\t\t"])
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d"])
def test_no_cell_is_a_formula_to_who_separates_cells_otherwise(
    viewer: Client, separator: str, start: str
) -> None:
    run(f"order:1{separator}{start}HYPERLINK(1)")
    shown = text(asked(viewer, format="csv"))
    assert "HYPERLINK(1)" in shown
    for delimiter in ";\t|":  # its quotes are read as they stand in the middle of such a cell
        split = re.split(f"[{delimiter}\r\n]", shown)
        assert not [cell for cell in split if cell.lstrip('" ').startswith(start)]


def test_a_cell_that_could_be_no_formula_is_left_as_it_is(viewer: Client) -> None:
    run("order:1; a-b=c, 2+2 | x@y")
    assert table(viewer)[0]["business_key"] == "order:1; a-b=c, 2+2 | x@y"


def test_a_payload_is_exported_to_nobody_who_may_not_reveal_it(viewer: Client) -> None:
    run()
    assert "payload" not in lines(viewer)[0]
    assert "payload" not in text(asked(viewer, format="csv"))


def test_a_payload_is_exported_as_json_to_who_may_reveal_it(viewer: Client) -> None:
    run()
    permission = Permission.objects.get(codename="reveal_run")
    User.objects.get(username="viewer").user_permissions.add(permission)
    assert lines(viewer)[0]["payload"] == {"name": "<script>alert(1)</script>"}
    assert "alert(1)" not in text(asked(viewer, format="csv"))


def test_where_the_right_to_reveal_holds_for_some_sagas_only_theirs_are_revealed(
    client: Client, db: None
) -> None:
    run("mine")
    run("theirs", saga="other")
    client.force_login(scoped("clerk", "flow", also="reveal_run"))
    viewing = Permission.objects.get(codename="view_run")
    User.objects.get(username="clerk").user_permissions.add(viewing)  # all may be seen
    mine, theirs = lines(client)
    assert "payload" in mine
    assert "payload" not in theirs


def test_only_sagas_of_ones_scope_are_exported(client: Client, db: None) -> None:
    run("mine")
    run("theirs", saga="other")
    client.force_login(scoped("clerk", "flow"))
    assert [row["business_key"] for row in lines(client)] == ["mine"]
    assert lines(client, saga="other") == []


def test_without_the_permission_nothing_is_exported(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert asked(client).status_code == 403
    assert not AuditEntry.objects.exists()


def test_an_export_is_noted_in_the_audit_with_its_filter(viewer: Client) -> None:
    text(asked(viewer, format="csv", status="running", error_group="a & b"))
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.subject) == ("viewer", "export", "runs")
    assert entry.details == {"format": "csv", "query": "status=running&error_group=a+%26+b"}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"format": "xlsx"}, "There is no format 'xlsx'"),
        ({"format": "\0<script>"}, "There is no format"),
        ({"status": "broken"}, "There is no state 'broken'"),
        ({"statsu": "running"}, "There is no filter 'statsu'"),
        ({"since": "\0"}, "That is no date since"),
    ],
)
def test_what_means_nothing_is_refused_in_plain_text(
    viewer: Client, query: dict[str, str], says: str
) -> None:
    response = asked(viewer, **query)
    assert response.status_code == 400
    assert response["Content-Type"].startswith("text/plain")
    assert says in response.content.decode()
    assert not AuditEntry.objects.exists()


def test_an_export_is_a_download_that_is_read_from_the_database_in_chunks(
    viewer: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_CHUNK", 2)
    for number in range(5):
        run(f"order:{number}")
    response = asked(viewer, format="csv")
    assert response.streaming
    assert response["Content-Disposition"].startswith('attachment; filename="runs-')
    parts = iter(response.streaming_content)
    with counted() as statements:
        next(parts)
        assert statements == []  # nothing is read before it is asked for
    assert len(list(parts)) == 5

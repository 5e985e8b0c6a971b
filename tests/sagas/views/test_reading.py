from __future__ import annotations

from typing import Annotated

import pytest
from django.contrib.auth.models import Group, Permission
from pydantic import BaseModel

from sagas.api import Redacted, Run, start, step
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import AuditEntry, Scope, uuid7
from sagas.models import Run as RunRow
from sagas.operate import reading
from sagas.operate.access import Right
from tests.sagas.driven import driven
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.views.callers import Caller, MakeCaller

ABSENT = uuid7()


class Receipt(BaseModel):
    number: int
    holder: Annotated[str, Redacted]


@step(name="pay")
def pay(run: Run[Payload]) -> Receipt:
    return Receipt(number=run.payload.number, holder="Ann")


@pay.compensate
def pay_back(run: Run[Payload]) -> None:
    return None


def keys(caller: Caller, query: str = "") -> list[str]:
    return [run["key"] for run in caller.get(f"/api/runs?{query}").json()["runs"]]


def test_runs_are_listed_the_newest_first_by_filters(saga: Definition, caller: Caller) -> None:
    for key in ("order:1", "order:2"):
        caller.start({"number": 1}, key=key)
    start(saga, Payload(), key="tagged", tags=["vip"])
    RunRow.objects.filter(business_key="order:2").update(status="needs_attention", attention="why")
    assert keys(caller) == ["tagged", "order:2", "order:1"]
    assert keys(caller, "tag=vip") == ["tagged"]
    assert keys(caller, "saga=flow&key=order:1") == ["order:1"]
    assert keys(caller, "status=needs_attention&status=succeeded") == ["order:2"]
    assert keys(caller, "created_to=2020-01-01T00:00:00Z") == []
    assert keys(caller, "finished_from=2020-01-01T00:00%2B02:00") == []
    (found,) = caller.get("/api/runs?status=needs_attention").json()["runs"]
    assert found["attention"] == "why"
    assert caller.get(found["url"]).json()["key"] == "order:2"
    assert "payload" not in found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=A-1", ["order:A-12", "order:a-1"]),
        ("q=order:a-1", ["order:A-12", "order:a-1"]),
        ("q=tag:vip", ["2"]),
        ("partner=bank", ["waits"]),
        ("partner=bank&q=a-1", []),
        ("q=a-1&saga=flow&limit=1", ["order:A-12"]),
        ("q=zzz", []),
    ],
)
def test_runs_are_found_by_the_search_and_the_partner_of_the_console(
    saga: Definition, caller: Caller, query: str, expected: list[str]
) -> None:
    start(saga, Payload(), key="order:a-1")
    start(saga, Payload(), key="order:A-12")
    start(saga, Payload(), key="2", tags=["vip"])
    registry.register(other := flow([simple("pay", partner="bank")], name="other"))
    start(other, Payload(), key="waits")
    assert keys(caller, query) == expected


def test_pages_of_what_is_searched_follow_each_other(saga: Definition, caller: Caller) -> None:
    for number in range(5):
        start(saga, Payload(), key=f"order:{number}")
    seen, cursor = [], ""
    for _ in range(3):
        page = caller.get(f"/api/runs?q=order:&limit=2{cursor}").json()
        seen += [run["key"] for run in page["runs"]]
        cursor = f"&cursor={page['next']}"
    assert seen == [f"order:{number}" for number in (4, 3, 2, 1, 0)]
    assert page["next"] is None


def test_a_search_that_says_too_little_is_refused(
    saga: Definition, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST", 1)
    for number in range(2):
        start(saga, Payload(), key=f"order:{number}")
    answer = caller.get("/api/runs?q=order:")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "More than 1 runs fit: give more of the filter."
    assert keys(caller, "q=order:1") == ["order:1"]
    for nothing in ("", "%20", "%00"):
        assert caller.get(f"/api/runs?q={nothing}").status_code == 400


def test_a_partner_that_no_step_names_is_refused(saga: Definition, caller: Caller) -> None:
    answer = caller.get("/api/runs?partner=bnk")
    assert answer.status_code == 404
    assert answer.json()["detail"] == "No step names a partner 'bnk'."


def test_a_search_finds_nothing_of_sagas_that_one_may_not_see(
    saga: Definition, caller_with: MakeCaller
) -> None:
    blind = caller_with(Right.READ)
    start(saga, Payload(), key="order:1")
    registry.register(flow(["a"], name="other"))
    assert blind.user is not None
    group = Group.objects.create(name="others")
    group.permissions.set(blind.user.user_permissions.all())
    Scope.objects.create(group=group, saga="other")
    blind.user.user_permissions.clear()
    blind.user.groups.add(group)
    assert keys(blind, "q=order:1") == []


def test_pages_follow_each_other_by_their_cursor(saga: Definition, caller: Caller) -> None:
    for number in range(5):
        start(saga, Payload(), key=f"order:{number}")
    seen, query = [], "limit=2"
    while True:
        page = caller.get(f"/api/runs?{query}").json()
        seen += [run["key"] for run in page["runs"]]
        start(saga, Payload(), key=f"new {len(seen)}")
        if page["next"] is None:
            break
        query = f"limit=2&cursor={page['next']}"
    assert seen == [f"order:{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=done", "status"),
        ("created_from=yesterday", "created_from"),
        ("created_from=2026-01-01T00:00:00", "created_from"),
        ("finished_from=2026-01-01", "finished_from"),
        ("finished_to=1780000000.5", "finished_to"),
        ("saga=a%00b", "saga"),
        ("tag=" + "x" * 41, "tag"),
        ("cursor=first", "cursor"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("stauts=running", "stauts"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_with_its_field(
    caller: Caller, query: str, field: str
) -> None:
    answer = caller.get(f"/api/runs?{query}")
    assert answer.status_code == 400
    assert [error["field"].split(".")[0] for error in answer.json()["errors"]] == [field]


def test_a_misspelled_filter_is_told_its_name(caller: Caller) -> None:
    assert "Did you mean 'status'?" in caller.get("/api/runs?stauts=running").json()["detail"]


def test_only_runs_of_ones_scope_are_listed(saga: Definition, caller_with: MakeCaller) -> None:
    other = flow(["a"], name="other")
    registry.register(other)
    start(saga, Payload(), key="mine")
    start(other, Payload(), key="theirs")
    clerk = caller_with()
    group = Group.objects.create(name="clerks")
    group.permissions.add(Permission.objects.get(codename="view_run"))
    Scope.objects.create(group=group, saga="flow")
    assert clerk.user is not None
    clerk.user.groups.add(group)
    assert keys(clerk) == ["mine"]
    assert keys(clerk, "saga=other") == []
    theirs = RunRow.objects.get(business_key="theirs")
    assert clerk.get(f"/api/runs/{theirs.id}/results").status_code == 403


def test_results_are_told_with_redacted_fields_marked(
    saga: Definition, caller_with: MakeCaller
) -> None:
    registry.register(shop := flow([pay, "ship"], name="shop"))
    address = f"/api/runs/{driven(shop, Payload(number=7))}/results"
    answer = caller_with(Right.READ).get(address)
    results = {"pay": {"number": 7, "holder": "•••"}, "ship": None}
    assert answer.json() == {"results": results, "errors": []}
    assert answer["Cache-Control"] == "private, no-store"
    revealed = caller_with(Right.READ, Right.REVEAL).get(address).json()["results"]
    assert revealed["pay"]["holder"] == "Ann"
    entry = AuditEntry.objects.get(verb="reveal")
    assert address == f"/api/runs/{entry.run}/results"
    assert entry.details["through"].startswith("token ")


def test_reading_needs_the_permission_and_a_run_that_is_there(
    caller: Caller, caller_with: MakeCaller, nobody: Caller
) -> None:
    assert caller.get(f"/api/runs/{ABSENT}/results").status_code == 404
    for address in ("/api/runs", f"/api/runs/{ABSENT}/results"):
        assert nobody.get(address).status_code == 401
        assert caller_with(Right.START).get(address).status_code == 403

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Group, Permission
from pydantic import BaseModel

from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import AuditEntry, Hold, Run, Scope
from sagas.operate.access import Right
from tests.sagas.driven import carry_on, driven
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.statements import counted
from tests.sagas.views.callers import Caller, MakeCaller

NOWHERE = "/api/runs/01890000-0000-7000-8000-000000000000"


class Anything(BaseModel):
    what: Any = None


# --- start ---------------------------------------------------------------------------------


def test_a_start_is_accepted_and_tells_where_its_run_is(saga: Definition, caller: Caller) -> None:
    answer = caller.start({"number": 7}, key="order:17")
    assert answer.status_code == 202
    run = Run.objects.get()
    assert answer["Location"] == f"/api/runs/{run.id}"
    assert answer.json() == {
        "id": str(run.id),
        "saga": "flow",
        "key": "order:17",
        "created": True,
        "url": answer["Location"],
    }
    assert (run.business_key, run.payload["number"]) == ("order:17", 7)
    assert caller.get(answer["Location"]).json()["id"] == str(run.id)


def test_the_same_key_and_payload_give_the_same_run(saga: Definition, caller: Caller) -> None:
    first, again = caller.start({"number": 7}), caller.start({"number": 7})
    assert again.status_code == 202
    assert again["Location"] == first["Location"]
    assert again.json() == first.json() | {"created": False}
    assert Run.objects.count() == 1


def test_another_payload_under_the_same_key_is_refused(saga: Definition, caller: Caller) -> None:
    caller.start({"number": 7})
    answer = caller.start({"number": 8})
    assert answer.status_code == 409
    assert "'order:1' started a run with another payload" in answer.json()["detail"]
    assert str(Run.objects.get().id) not in answer.content.decode()


def test_a_payload_that_does_not_fit_is_refused_field_by_field(
    saga: Definition, caller: Caller
) -> None:
    answer = caller.start({"number": "many", "refuse": None})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["number", "refuse"]
    assert "integer" in answer.json()["errors"][0]["message"]
    assert not Run.objects.exists()


def test_a_field_that_the_payload_does_not_have_is_refused_by_name(
    saga: Definition, caller: Caller
) -> None:
    answer = caller.start({"number": 1, "refused": "a"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["refused"]
    assert not Run.objects.exists()


def test_an_unknown_saga_is_not_found_and_a_near_one_is_named(
    saga: Definition, caller: Caller
) -> None:
    answer = caller.start({}, saga="flaw")
    assert answer.status_code == 404
    assert "Did you mean 'flow'?" in answer.json()["detail"]


@pytest.mark.parametrize("key", ["", "x" * 201, "Käse", "a\tb", "a\x00b"])
def test_a_key_that_is_none_is_refused(saga: Definition, caller: Caller, key: str) -> None:
    answer = caller.start({}, key=key)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["Idempotency-Key"]


def test_a_start_needs_a_key(saga: Definition, caller: Caller) -> None:
    answer = caller.post("/api/sagas/flow/runs", {})
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "Idempotency-Key", "message": "Field required"}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"{} {}",
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"what": NaN}',
        b'{"what": -Infinity}',
        b'{"unknown": NaN}',
        b'{"what": 1e999}',
        b'{"what": ' + b"9" * 5000 + b"}",
        b'{"what": "\\u0000"}',
        b'{"what": {"\\u0000": 1}}',
        b'{"what": "\\ud800"}',
        b'{"unknown": "\\udc00"}',
        b'{"what": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"what": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b"[" * 200_000,
    ],
    ids=range(20),
)
def test_no_body_breaks_a_start(caller: Caller, body: bytes) -> None:
    with registry.isolated():
        registry.register(_for_anything())
        answer = caller.start(body, saga="anything")
        assert answer.status_code == 400, answer.content
        assert answer["Content-Type"] == "application/problem+json"
        assert not Run.objects.exists()


@pytest.mark.parametrize(
    "body", [b'{"what": 1e308}', b'{"what": ' + b"9" * 4000 + b"}", b'{"what": "\\ud83d\\ude00"}']
)
def test_what_postgresql_can_store_is_accepted(caller: Caller, body: bytes) -> None:
    with registry.isolated():
        registry.register(_for_anything())
        assert caller.start(body, saga="anything").status_code == 202


def test_a_start_costs_one_statement_besides_the_authentication_and_the_quota(
    saga: Definition, caller: Caller
) -> None:
    caller.start({}, key="warm")
    with counted() as statements:
        assert caller.start({}, key="counted").status_code == 202
    who_asks = ["auth_user", "auth_permission", "auth_permission"]
    assert _tables(statements) == [*who_asks, "sagas_loginattempts", "sagas_run"]


def test_a_start_in_a_session_costs_one_statement_more(saga: Definition, caller: Caller) -> None:
    assert caller.user is not None
    caller.client.defaults.pop("HTTP_AUTHORIZATION")
    caller.client.force_login(caller.user)
    with counted() as statements:
        assert caller.start({}, key="counted").status_code == 202
    found = _tables(statements)
    assert found[0] == "django_session"
    assert found[-1] == "sagas_run"
    assert len(found) == 6


# --- look ----------------------------------------------------------------------------------


def test_a_run_tells_its_steps_and_what_happens_next(saga: Definition, caller: Caller) -> None:
    run = caller.get(caller.start({})["Location"]).json()
    assert (run["saga"], run["key"], run["status"]) == ("flow", "order:1", "pending")
    assert [(s["name"], s["status"]) for s in run["steps"]] == [
        ("reserve", "ready"),
        ("charge", "pending"),
        ("ship", "pending"),
    ]
    assert [(n["what"], n["step"]) for n in run["next"]] == [("try", "reserve")]
    assert run["next"][0]["at"] is not None


def test_a_finished_run_tells_attempts_errors_and_that_nothing_follows(
    saga: Definition, caller: Caller
) -> None:
    run_id = driven(saga, Payload(refuse="charge"))
    run = caller.get(f"/api/runs/{run_id}").json()
    assert (run["status"], run["halt"], run["next"]) == ("compensated", "failed", [])
    assert run["finished_at"] is not None
    told = {(s["name"], s["direction"]): s for s in run["steps"]}
    assert told["charge", "forward"]["error"] == "told to"
    assert told["reserve", "backward"]["status"] == "succeeded"
    assert told["reserve", "backward"]["attempts"] == 1


def test_payload_and_results_stay_inside(caller: Caller) -> None:
    secret = simple("reserve", harmless=True)
    with registry.isolated():
        saga = flow([secret])
        registry.register(saga)
        answer = caller.get(f"/api/runs/{driven(saga, Payload(number=424242))}")
        assert b"424242" not in answer.content
        assert not {"payload", "result"} & (answer.json().keys() | answer.json()["steps"][0].keys())


def test_an_unknown_run_is_not_found(caller: Caller) -> None:
    assert caller.get(NOWHERE).status_code == 404
    assert caller.post(f"{NOWHERE}/cancel").status_code == 404
    assert caller.get("/api/runs/no-id").status_code == 404


def test_a_run_that_has_not_moved_is_not_told_again(saga: Definition, caller: Caller) -> None:
    url = caller.start({})["Location"]
    first = caller.get(url)
    unmoved = caller.get(url, if_none_match=first["ETag"])
    assert (unmoved.status_code, unmoved.content) == (304, b"")
    assert unmoved["ETag"] == first["ETag"]
    carry_on(UUID(url.rpartition("/")[2]))
    assert caller.get(url, if_none_match=first["ETag"]).status_code == 200


def test_looking_at_a_run_costs_two_statements_however_many_steps_it_has(caller: Caller) -> None:
    with registry.isolated():
        saga = flow([str(f"step{n}") for n in range(20)])
        registry.register(saga)
        url = caller.start({})["Location"]
        with counted() as statements:
            assert len(caller.get(url).json()["steps"]) == 20
        assert _tables(statements)[-2:] == ["sagas_step", "sagas_hold"]
        assert len(statements) == 5


def test_a_run_says_why_it_stands_where_it_does_and_again_when_that_changes(
    saga: Definition, caller: Caller
) -> None:
    url = caller.start({})["Location"]
    first = caller.get(url)
    told = first.json()
    assert re.fullmatch(r"waits for a free worker since \S+ UTC", told["state_reason"])
    assert told["next"][0]["text"] == told["state_reason"]
    Hold.objects.create(kind="saga", target="flow", reason="why", placed_by="ann")
    held = caller.get(url, if_none_match=first["ETag"])  # a hold moves no run
    assert held.status_code == 200
    assert re.fullmatch(r"saga flow is held since \S+ UTC", held.json()["state_reason"])
    assert [(n["what"], n["step"]) for n in held.json()["next"]] == [("hold", "reserve")]


def test_a_run_that_was_undone_says_why_and_which_steps_were(caller: Caller) -> None:
    with registry.isolated():
        saga = flow(["collect", "ship", "z"])
        registry.register(saga)
        told = caller.get(f"/api/runs/{driven(saga, Payload(refuse='ship'))}").json()
    assert (told["status"], told["undone"]) == (
        "compensated",
        "Told to at ship; 1 step undone",
    )
    assert [(step["title"], step["state"]) for step in told["steps"]] == [
        ("collect", "undone"),
        ("ship", "failed"),
        ("z", "pending"),
        ("undo of collect", "succeeded"),
    ]


# --- cancel --------------------------------------------------------------------------------


def test_a_cancel_costs_the_same_however_many_steps_there_are(caller: Caller) -> None:
    costs = []
    for length in (1, 20):
        with registry.isolated():
            registry.register(flow([f"step{n}" for n in range(length)]))
            url = caller.start({}, key=str(length))["Location"]
            with counted() as statements:
                assert caller.post(f"{url}/cancel").status_code == 202
            costs.append(len(statements))
    # who asks (3), the quota, savepoint, lock, read, write, Django's log, the audit, release
    assert costs == [11, 11]


def test_a_run_that_has_done_nothing_is_cancelled_at_once(saga: Definition, caller: Caller) -> None:
    url = caller.start({})["Location"]
    answer = caller.post(f"{url}/cancel")
    assert answer.status_code == 202
    assert answer["Location"] == url
    assert answer.json()["status"] == "compensated"
    assert caller.get(url).json()["halt"] == "cancelled"


def test_cancelling_again_changes_nothing(saga: Definition, caller: Caller) -> None:
    url = caller.start({})["Location"]
    first = caller.post(f"{url}/cancel")
    assert caller.post(f"{url}/cancel").json() == first.json()


def test_a_refused_cancel_names_the_actual_state(saga: Definition, caller: Caller) -> None:
    run_id = driven(saga, Payload())
    answer = caller.post(f"/api/runs/{run_id}/cancel")
    assert answer.status_code == 409
    assert "it has succeeded" in answer.json()["detail"]


def test_a_run_whose_code_is_gone_cannot_be_cancelled(caller: Caller) -> None:
    with registry.isolated():
        registry.register(flow(["a"]))
        url = caller.start({})["Location"]
    answer = caller.post(f"{url}/cancel")
    assert answer.status_code == 409
    assert "flow" in answer.json()["detail"]


# --- who may -------------------------------------------------------------------------------

_DOORS = [
    ("POST", "/api/sagas/flow/runs", Right.START),
    ("GET", NOWHERE, Right.READ),
    ("POST", f"{NOWHERE}/cancel", Right.CHANGE),
    ("POST", "/api/signals/approved/order:1", Right.CHANGE),
    ("GET", "/api/sagas", Right.READ),
    ("GET", "/api/sagas/flow", Right.READ),
]


def test_a_group_that_is_restricted_to_other_sagas_sees_and_starts_nothing_here(
    saga: Definition, caller: Caller, caller_with: MakeCaller
) -> None:
    there = caller.start({})["Location"]
    others = caller_with()
    group = Group.objects.create(name="others")
    group.permissions.set(Permission.objects.filter(content_type__app_label="sagas"))
    Scope.objects.create(group=group, saga="other")
    assert others.user is not None
    others.user.groups.add(group)
    assert others.get("/api/sagas").json() == []
    for answer in (
        others.get(there),
        others.post(f"{there}/cancel"),
        others.start({}, key="order:2"),
        others.get("/api/sagas/flow"),
    ):
        assert answer.status_code == 403
        assert "does not hold for the saga 'flow'" in answer.json()["detail"]


def test_a_run_tells_that_a_request_started_it_and_whose(saga: Definition, caller: Caller) -> None:
    there = caller.start({"number": 1})["Location"]
    assert caller.user is not None
    origin = {"kind": "request", "id": caller.user.username, "root": None, "depth": 0}
    assert caller.get(there).json()["origin"] == origin
    assert caller.get("/api/runs").json()["runs"][0]["origin"] == origin


def test_a_start_takes_tags(saga: Definition, caller: Caller) -> None:
    there = caller.post("/api/sagas/flow/runs?tag=b&tag=a&tag=b", {}, idempotency_key="1")
    assert caller.get(there["Location"]).json()["tags"] == ["a", "b"]
    long = caller.post(f"/api/sagas/flow/runs?tag={'x' * 41}", {}, idempotency_key="2")
    assert long.status_code == 400
    assert "1 to 40 characters" in long.json()["detail"]


def test_a_cancel_is_kept_in_the_audit_with_its_reason(saga: Definition, caller: Caller) -> None:
    url = caller.start({})["Location"]
    assert caller.post(f"{url}/cancel?reason=the+customer+left").status_code == 202
    assert caller.post(f"{url}/cancel").status_code in (202, 409)
    entry = AuditEntry.objects.exclude(verb="issue token").get()
    assert (entry.verb, entry.reason) == ("cancel", "the customer left")


@pytest.mark.parametrize(("method", "path", "right"), _DOORS)
def test_every_door_asks_for_its_own_permission(
    saga: Definition, caller_with: MakeCaller, method: str, path: str, right: Right
) -> None:
    others = caller_with(*(other for other in Right if other is not right))
    refused = _call(others, method, path)
    assert refused.status_code == 403
    assert right in refused.json()["detail"]
    assert _call(caller_with(right), method, path).status_code in (200, 202, 404)


@pytest.mark.parametrize(("method", "path", "right"), _DOORS)
def test_no_door_opens_for_nobody(
    saga: Definition, nobody: Caller, method: str, path: str, right: Right
) -> None:
    answer = _call(nobody, method, path)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def _call(caller: Caller, method: str, path: str) -> Any:
    return caller.get(path) if method == "GET" else caller.post(path, {}, idempotency_key="1")


def _for_anything() -> Definition:
    return Definition("anything", payload=Anything, steps=[simple("a")])


def _tables(statements: list[str]) -> list[str]:
    """The table that each statement is mainly about."""
    return [next(table for sign, table in _SIGNS if sign in text) for text in statements]


_SIGNS = [
    ("INSERT INTO sagas_loginattempts", "sagas_loginattempts"),
    ("INSERT INTO sagas_run", "sagas_run"),
    ('FROM "sagas_step"', "sagas_step"),
    ('FROM "sagas_hold"', "sagas_hold"),
    ('FROM "django_session"', "django_session"),
    ('FROM "auth_permission"', "auth_permission"),
    ('FROM "auth_user"', "auth_user"),
]

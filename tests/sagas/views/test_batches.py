"""Batches through the API."""

from __future__ import annotations

from typing import Any, get_args
from uuid import UUID, uuid4

import pytest

from sagas.models import Batch, BatchStatus, ItemStatus
from sagas.operate.access import Right
from sagas.operate.batch_run import work
from sagas.views.batches import AnswerWord, BatchWord
from tests.sagas.operate.batches import found, saga_of, stopped
from tests.sagas.stage import Actor, Known, begun, carried, status
from tests.sagas.views.callers import Caller, MakeCaller

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def ids(known: Known) -> list[UUID]:
    """Three runs that need a person, and one that does not."""
    saga = saga_of(known, Actor())
    begun(saga, key="new:0")
    return stopped(saga, 3)


def asked(caller: Caller, **more: Any) -> Any:
    body = {"verb": "retry", "reason": "r", "filter": {"saga": "flow"}, "rate": 200, **more}
    return caller.post("/api/batches", body)


def test_a_trial_tells_what_fits_and_why_the_rest_does_not(caller: Caller, ids: list[UUID]) -> None:
    answer = asked(caller)
    assert answer.status_code == 201, answer.content
    told = answer.json()
    assert answer["Location"] == told["url"] == f"/api/batches/{told['id']}"
    assert (told["status"], told["matched"], told["query"]) == ("draft", 4, "saga=flow")
    assert (told["counts"]["ready"], told["counts"]["unfit"]) == (3, 1)
    (reason,) = told["reasons"]
    assert (reason["count"], reason["examples"]) == (1, ["new:0"])
    assert {status(run_id) for run_id in ids} == {"needs_attention"}
    assert caller.get(told["url"]).json() == told


def test_a_batch_is_confirmed_and_followed_to_its_end(caller: Caller, ids: list[UUID]) -> None:
    url = asked(caller, filter={"status": "needs_attention"}).json()["url"]
    confirmed = caller.post(f"{url}/confirm")
    assert (confirmed.status_code, confirmed.json()["status"]) == (202, "running")
    work(UUID(confirmed.json()["id"]), "task")
    told = caller.get(url).json()
    assert (told["status"], told["counts"]["accepted"]) == ("finished", 3)
    assert "done" not in told["counts"]
    assert {status(run_id) for run_id in ids} == {"running"}
    assert told["summary"] == "3 retried: 3 running"
    assert caller.post(f"{url}/stop").status_code == 409


def test_a_batch_tells_where_its_runs_stand_now(caller: Caller, ids: list[UUID]) -> None:
    url = asked(caller).json()["url"]
    caller.post(f"{url}/confirm")
    work(Batch.objects.get().pk, "task")
    carried(ids[0], "b")
    told = caller.get(url).json()
    assert told["summary"] == "3 retried: 1 failed again, 2 running; 1 left out"
    assert {state: n for state, n in told["now"].items() if n} == {"failed_again": 1, "running": 2}
    items = caller.get(f"{url}/items").json()["items"]
    assert [(item["key"], item["status"], item["now"]) for item in items] == [
        ("new:0", "unfit", "pending"), ("flow:0", "accepted", "failed_again"),
        ("flow:1", "accepted", "running"), ("flow:2", "accepted", "running"),
    ]  # fmt: skip
    assert {item["detail"] for item in items[1:]} == {""}
    again = caller.get(f"{url}/items?now=failed_again").json()["items"]
    assert [item["key"] for item in again] == ["flow:0"]
    accepted = caller.get(f"{url}/items?status=accepted").json()["items"]
    assert [item["key"] for item in accepted] == ["flow:0", "flow:1", "flow:2"]


def test_answers_and_statuses_are_called_as_everywhere() -> None:
    assert set(get_args(AnswerWord)) == {answer.word for answer in ItemStatus}
    assert set(get_args(BatchWord)) == {status.word for status in BatchStatus}


def test_a_batch_is_stopped(caller: Caller, ids: list[UUID]) -> None:
    url = asked(caller).json()["url"]
    caller.post(f"{url}/confirm")
    stopped_batch = caller.post(f"{url}/stop")
    assert (stopped_batch.status_code, stopped_batch.json()["status"]) == (202, "stopped")
    assert stopped_batch.json()["counts"]["ready"] == 3


def test_items_come_in_pages_and_by_status(caller: Caller, ids: list[UUID]) -> None:
    url = f"{asked(caller).json()['url']}/items"
    first = caller.get(f"{url}?limit=3").json()
    second = caller.get(f"{url}?limit=3&after={first['next']}").json()
    keys = [item["key"] for page in (first, second) for item in page["items"]]
    assert keys == list(found(Batch.objects.get())) == ["new:0", "flow:0", "flow:1", "flow:2"]
    assert second["next"] is None
    unfit = caller.get(f"{url}?status=unfit").json()
    assert [item["key"] for item in unfit["items"]] == ["new:0"]
    assert caller.get(f"{url}?limit=4").json()["next"] is None
    for odd in ("status=odd", "status=done", "now=odd"):
        assert caller.get(f"{url}?{odd}").status_code == 400


@pytest.mark.parametrize("reason", [{}, {"reason": ""}])
def test_many_runs_are_assigned_without_a_reason(
    caller: Caller, ids: list[UUID], reason: dict[str, str]
) -> None:
    body = {"verb": "assign", "arguments": {"owner": ""}, "filter": {"saga": "flow"}, **reason}
    answer = caller.post("/api/batches", body)
    assert (answer.status_code, answer.json().get("reason")) == (201, ""), answer.content


def test_without_a_reason_nothing_else_is_done_to_many(caller: Caller, ids: list[UUID]) -> None:
    answer = caller.post("/api/batches", {"verb": "retry", "filter": {"saga": "flow"}})
    assert (answer.status_code, Batch.objects.count()) == (400, 0)
    assert [problem["field"] for problem in answer.json()["errors"]] == ["asked.reason"]


@pytest.mark.parametrize(
    ("wrong", "status_code", "message"),
    [
        ({"verb": "retri"}, 409, "Did you mean 'retry'"),
        ({"arguments": {"payload": {}}}, 409, "there can be no payload"),
        ({"filter": {}}, 409, "Say which runs"),
        ({"filter": {"sagas": "flow"}}, 400, "filter.sagas"),
        ({"filter": {"status": "odd"}}, 400, "filter.status"),
        ({"reason": ""}, 400, "reason"),
        ({"verb": "assign", "arguments": {}}, 409, "owner"),
        ({"rate": 0}, 400, "rate"),
        ({"rate": 201}, 400, "rate"),
        ({"odd": 1}, 400, "odd"),
    ],
)
def test_what_does_not_make_sense_is_refused(
    caller: Caller, ids: list[UUID], wrong: dict[str, Any], status_code: int, message: str
) -> None:
    answer = asked(caller, **wrong)
    assert (answer.status_code, Batch.objects.count()) == (status_code, 0)
    assert message in answer.content.decode()


def test_each_door_asks_for_its_right(
    caller: Caller, caller_with: MakeCaller, ids: list[UUID]
) -> None:
    url = asked(caller).json()["url"]
    reader = caller_with(Right.READ)
    assert asked(reader).status_code == 403
    for word in ("confirm", "stop"):
        answer = reader.post(f"{url}/{word}")
        assert (answer.status_code, "sagas.add_batch" in answer.json()["detail"]) == (403, True)
    assert reader.get(url).status_code == 200
    blind = caller_with(Right.BATCH)
    for path in (url, f"{url}/items"):
        assert blind.get(path).status_code == 403


def test_only_who_made_it_confirms_it(
    caller: Caller, caller_with: MakeCaller, ids: list[UUID]
) -> None:
    url = asked(caller).json()["url"]
    answer = caller_with(*Right).post(f"{url}/confirm")
    assert (answer.status_code, "Only " in answer.json()["detail"]) == (403, True)


def test_an_unknown_batch_is_not_found(caller: Caller) -> None:
    url = f"/api/batches/{uuid4()}"
    assert caller.get(url).status_code == 404
    assert caller.get(f"{url}/items").status_code == 404
    assert caller.post(f"{url}/confirm").status_code == 404
    assert caller.post(f"{url}/stop").status_code == 404


def test_of_a_result_only_the_shape_is_told(caller: Caller, ids: list[UUID]) -> None:
    told = {"step": "b", "result": {"holder": "Ann", "none": None}}
    made = asked(caller, verb="skip", arguments=told).json()
    shape = {"step": "b", "result": {"holder": "•••", "none": None}}
    assert made["arguments"] == shape
    assert caller.get(made["url"]).json()["arguments"] == shape


@pytest.mark.parametrize("name", ["saga", "error_group", "tag", "owner"])
def test_what_no_database_can_keep_is_refused(caller: Caller, name: str) -> None:
    answer = asked(caller, filter={name: "a\x00"})
    assert answer.status_code == 400, answer.content
    assert not Batch.objects.exists()


def test_a_result_that_no_database_can_keep_is_refused(caller: Caller, ids: list[UUID]) -> None:
    answer = asked(caller, verb="skip", arguments={"result": {"odd": "\x00"}})
    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"] == "result.odd"
    assert not Batch.objects.exists()

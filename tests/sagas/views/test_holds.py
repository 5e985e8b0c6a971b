"""Holds through the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.test import override_settings

from sagas.api import hold_partner
from sagas.models import Hold
from sagas.operate.access import Right
from tests.sagas.flows import flow
from tests.sagas.stage import Actor, Known
from tests.sagas.views.callers import Caller, MakeCaller

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]
QUEUE = {"kind": "queue", "target": "payments", "reason": "the bank is down"}


def test_a_hold_is_placed_listed_and_lifted(caller: Caller) -> None:
    placed = caller.post("/api/holds", QUEUE)
    assert placed.status_code == 201, placed.content
    (listed,) = caller.get("/api/holds").json()
    assert listed == placed.json()
    assert caller.user is not None
    assert listed["placed_by"] == caller.user.username
    lifted = caller.post(f"/api/holds/{listed['id']}/lift", {"reason": "back", "per_second": 5})
    assert (lifted.status_code, lifted.json()["woken"]) == (202, 0)
    assert caller.get("/api/holds").json() == []


def test_what_is_not_there_cannot_be_held_or_lifted(caller: Caller) -> None:
    for target, status in (("paymants", 409), ("", 400)):
        answer = caller.post("/api/holds", {**QUEUE, "target": target})
        assert answer.status_code == status, answer.content
    for kind, target in (("saga", "none"), ("run", str(uuid4()))):
        answer = caller.post("/api/holds", {**QUEUE, "kind": kind, "target": target})
        assert answer.status_code == 404, answer.content
    assert caller.post("/api/holds/7/lift", {"reason": "x"}).status_code == 404
    assert not Hold.objects.exists()


def test_a_second_hold_on_the_same_is_a_conflict_that_names_the_first(caller: Caller) -> None:
    caller.post("/api/holds", QUEUE)
    again = caller.post("/api/holds", {**QUEUE, "reason": "me too"})
    assert again.status_code == 409
    assert "the bank is down" in again.json()["detail"]


def test_to_hold_a_queue_needs_its_own_right(caller_with: MakeCaller) -> None:
    operator = caller_with(Right.READ, Right.CHANGE)
    answer = operator.post("/api/holds", QUEUE)
    assert answer.status_code == 403
    assert "sagas.add_hold" in answer.json()["detail"]
    assert not Hold.objects.exists()


def test_what_an_automatism_holds_is_listed_with_its_source_and_lifted_by_who_may(
    caller: Caller, known: Known
) -> None:
    known(flow([Actor().step("a", partner="bank")]))
    hold_partner("bank", source="circuit-breaker", reason="open")
    (listed,) = caller.get("/api/holds").json()
    assert (listed["source"], listed["placed_by"]) == ("circuit-breaker", "system:circuit-breaker")
    answer = caller.post(f"/api/holds/{listed['id']}/lift", {"reason": "try it"})
    assert answer.status_code == 202
    assert caller.get("/api/holds").json() == []


def test_nobody_places_a_hold_in_the_name_of_an_automatism(caller: Caller) -> None:
    answer = caller.post("/api/holds", {**QUEUE, "source": "circuit-breaker"})
    assert answer.status_code == 400
    assert not Hold.objects.exists()


@pytest.mark.parametrize("pace", [0, -1, 5e-324, 10_001])
def test_a_pace_that_no_drain_could_keep_is_refused(caller: Caller, pace: float) -> None:
    placed = caller.post("/api/holds", QUEUE).json()
    lift = {"reason": "back", "per_second": pace}
    answer = caller.post(f"/api/holds/{placed['id']}/lift", lift)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "asked.per_second")
    assert Hold.objects.get().lifted_at is None


def test_one_that_ends_by_itself_says_when(caller: Caller, known: Known) -> None:
    known(flow([Actor().step("a", partner="bank", queue="payments")]))
    placed = hold_partner("bank", source="quota", reason="its quota is spent", seconds=86_400)
    assert placed is not None
    assert placed.ends_at is not None
    caller.post("/api/holds", QUEUE)
    persons, quota = caller.get("/api/holds").json()
    assert persons["ends_at"] is None
    assert datetime.fromisoformat(quota["ends_at"]) - placed.ends_at < timedelta(milliseconds=1)


def test_a_hold_that_needs_a_second_person_is_asked_for(caller: Caller, known: Known) -> None:
    known(flow([Actor().step("a", queue="payments")]))
    hold_id = caller.post("/api/holds", QUEUE).json()["id"]
    with override_settings(SAGAS={"FOUR_EYES": {"flow": ["hold", "lift"]}}):
        lifted = caller.post(f"/api/holds/{hold_id}/lift", {"reason": "back"})
        placed = caller.post("/api/holds", {**QUEUE, "kind": "saga", "target": "flow"})
    assert (placed.status_code, lifted.status_code) == (202, 202)
    asked = caller.get("/api/approvals").json()
    assert [one["id"] for one in asked] == [lifted.json()["approval"], placed.json()["approval"]]
    assert [(one["verb"], one["run"], one["subject"]) for one in asked] == [
        ("lift", None, f"hold {hold_id} on queue payments"),
        ("hold", None, "saga flow"),
    ]
    assert [held["target"] for held in caller.get("/api/holds").json()] == ["payments"]

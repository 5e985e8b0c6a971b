"""Requests for a second person's consent, through the API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings

from sagas.define.outcome import Refused
from sagas.models import AuditEntry
from sagas.operate.access import Right
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, status
from tests.sagas.views.callers import Caller, LoggedIn, MakeCaller

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def run_id(known: Known) -> UUID:
    """A run that needs a person."""
    actor = Actor()
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow([pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "p")
    return run_id


def asked(caller: Caller, run_id: UUID) -> Any:
    with override_settings(SAGAS={"FOUR_EYES": {"*": ["resolve"]}}):
        answer = caller.post(f"/api/runs/{run_id}/resolve", {"reason": "refunded"})
    assert answer.status_code == 202
    return answer.json()


@pytest.fixture
def second(caller_with: MakeCaller) -> Caller:
    """A person: no token consents."""
    user = caller_with(Right.READ, Right.APPROVE).user
    assert user is not None
    return LoggedIn(user)


def test_a_token_does_not_consent_for_the_person_that_it_stands_for(
    caller: Caller, caller_with: MakeCaller, run_id: UUID
) -> None:
    there = f"/api/approvals/{asked(caller, run_id)['approval']}"
    service = caller_with(Right.READ, Right.APPROVE)
    for word in ("approve", "decline"):
        answer = service.post(f"{there}/{word}", {"note": "fine"})
        assert answer.status_code == 403
        assert "Log in to decide" in answer.json()["detail"]
    assert status(run_id) == "needs_attention"
    assert caller.post(f"{there}/withdraw").json()["status"] == "withdrawn"
    through = AuditEntry.objects.get(verb="withdraw to resolve").details["through"]
    assert through.startswith("token ")


def test_a_second_person_finds_the_request_and_consents(
    caller: Caller, second: Caller, run_id: UUID
) -> None:
    answer = asked(caller, run_id)
    assert answer["status"] == status(run_id) == "needs_attention"
    (listed,) = second.get("/api/approvals").json()
    assert (listed["id"], listed["verb"], listed["reason"]) == (
        answer["approval"],
        "resolve",
        "refunded",
    )
    decided = second.post(f"/api/approvals/{listed['id']}/approve", {"note": "seen"})
    assert (decided.status_code, decided.json()["status"]) == (200, "approved")
    assert status(run_id) == "resolved"
    assert second.get("/api/approvals").json() == []
    assert second.user is not None
    assert AuditEntry.objects.get(verb="resolve").approver == second.user.username


def test_who_asked_cannot_consent_and_who_may_not_is_refused(
    caller: Caller, caller_with: MakeCaller, run_id: UUID
) -> None:
    there = f"/api/approvals/{asked(caller, run_id)['approval']}"
    assert caller.post(f"{there}/approve", {}).status_code in (403, 409)
    other = caller_with(Right.READ, Right.CHANGE).post(f"{there}/approve", {})
    assert other.status_code == 403
    assert "sagas.approve_run" in other.json()["detail"]
    assert status(run_id) == "needs_attention"


def test_a_request_is_declined_with_a_note_or_withdrawn(
    caller: Caller, second: Caller, run_id: UUID
) -> None:
    there = f"/api/approvals/{asked(caller, run_id)['approval']}"
    assert second.post(f"{there}/decline", {}).status_code == 409
    assert second.post(f"{there}/withdraw").status_code == 409
    assert second.post(f"{there}/decline", {"note": "not yet"}).json()["note"] == "not yet"
    again = f"/api/approvals/{asked(caller, run_id)['approval']}"
    assert caller.post(f"{again}/withdraw").json()["status"] == "withdrawn"


def test_a_request_that_is_none_is_not_found(second: Caller) -> None:
    assert second.post("/api/approvals/7/approve", {}).status_code == 404

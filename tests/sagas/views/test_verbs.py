"""The operator's verbs through the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from sagas import record
from sagas.api import wait_for
from sagas.define import registry
from sagas.define.outcome import Refused
from sagas.models import AuditEntry, Event
from sagas.operate.access import Right
from tests.sagas.flows import flow, pivot
from tests.sagas.stage import Actor, Known, begun, carried, row, status
from tests.sagas.views.callers import Caller, MakeCaller

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]
BODIES: dict[str, dict[str, Any]] = {
    "retry": {"step": "b"},
    "skip": {"step": "b", "result": {"id": 7}},
    "mark": {"step": "b", "happened": True},
    "compensate": {},
    "resolve": {},
}


@pytest.fixture
def run_id(known: Known) -> UUID:
    """A run that needs a person: its step after the pivot was refused."""
    actor = Actor()
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow([pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "p")
    assert status(run_id) == "needs_attention"
    return run_id


def asked(caller: Caller, run_id: UUID, verb: str, **more: Any) -> Any:
    return caller.post(f"/api/runs/{run_id}/{verb}", {"reason": "r", **BODIES[verb], **more})


@pytest.mark.parametrize(
    ("verb", "then"), [("retry", "running"), ("skip", "succeeded"), ("resolve", "resolved")]
)
def test_a_verb_is_done_and_told(caller: Caller, run_id: UUID, verb: str, then: str) -> None:
    answer = asked(caller, run_id, verb)
    assert answer.status_code == 202, answer.content
    assert (answer.json()["status"], status(run_id)) == (then, then)
    assert answer["Location"] == f"/api/runs/{run_id}"
    by = Event.objects.get(run=run_id, new=verb).data["by"]
    assert caller.user is not None
    assert by == caller.user.username


def test_a_run_is_moved_to_another_version(caller: Caller, run_id: UUID) -> None:
    address = f"/api/runs/{run_id}/migrate"
    answer = caller.post(address, {"to": 2, "reason": "release 7"})
    assert answer.status_code == 409
    assert "has no version 2" in answer.json()["detail"]
    registry.register(flow([*registry.get("flow").tree, "x"], version=2))
    assert caller.post(address, {"to": 2, "reason": "release 7"}).status_code == 202
    assert caller.get(f"/api/runs/{run_id}").json()["version"] == 2
    assert caller.post(address, {"to": 0, "reason": "release 7"}).status_code == 400


def test_a_substitute_is_stored(caller: Caller, run_id: UUID) -> None:
    asked(caller, run_id, "skip")
    assert row(run_id, "b").result == {"id": 7}


@pytest.mark.parametrize("verb", ["mark", "compensate"])
def test_what_does_not_fit_the_state_is_a_conflict_that_names_it(
    caller: Caller, run_id: UUID, verb: str
) -> None:
    answer = asked(caller, run_id, verb)
    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert str(run_id) in answer.json()["detail"] or "'b'" in answer.json()["detail"]
    assert status(run_id) == "needs_attention"


def test_who_looked_before_it_moved_is_refused(caller: Caller, run_id: UUID) -> None:
    seen = caller.get(f"/api/runs/{run_id}").json()["imprint"]
    assert seen == record.read(run_id).imprint
    assert asked(caller, run_id, "retry", seen="f" * 16).status_code == 409
    assert asked(caller, run_id, "retry", seen=seen).status_code == 202
    assert asked(caller, run_id, "resolve", seen=seen).status_code == 409


@pytest.mark.parametrize("verb", BODIES)
@pytest.mark.parametrize("wrong", [{"reason": ""}, {"reason": None}, {"odd": 1}])
def test_a_body_that_does_not_fit_is_refused_by_field(
    caller: Caller, run_id: UUID, verb: str, wrong: dict[str, Any]
) -> None:
    answer = asked(caller, run_id, verb, **wrong)
    assert answer.status_code == 400
    assert next(iter(wrong)) in answer.json()["errors"][0]["field"]


@pytest.mark.parametrize("verb", BODIES)
def test_every_verb_asks_for_the_right_to_change(
    caller_with: MakeCaller, run_id: UUID, verb: str
) -> None:
    answer = asked(caller_with(Right.READ, Right.START), run_id, verb)
    assert answer.status_code == 403
    assert "sagas.change_run" in answer.json()["detail"]
    assert status(run_id) == "needs_attention"


@pytest.mark.parametrize("verb", BODIES)
def test_an_unknown_run_is_not_found(caller: Caller, verb: str) -> None:
    assert asked(caller, UUID(int=7), verb).status_code == 404


@pytest.mark.parametrize("step", ["undo of collect", "collect"])
def test_a_compensation_is_offered_and_taken_by_its_title(
    caller: Caller, known: Known, step: str
) -> None:
    actor = Actor()
    actor.answers |= {"do b": Refused("no"), "undo collect": Refused("too late")}
    run_id = begun(known(flow([actor.step("collect"), *actor.steps("bc")])))
    carried(run_id, "collect")
    steps = caller.get(f"/api/runs/{run_id}").json()["steps"]
    assert [s["title"] for s in steps if s["status"] == "failed"] == ["b", "undo of collect"]
    answer = asked(caller, run_id, "skip", step=step, result=None)
    assert (answer.status_code, answer.json()["status"]) == (202, "compensated")
    assert Event.objects.get(run=run_id, new="skip").data["of"] == "undo of collect"
    entry = AuditEntry.objects.exclude(verb="issue token").get()
    assert (entry.step, entry.details["step"]) == ("collect", "undo of collect")


@pytest.mark.parametrize("body", [{"owner": ""}, {"owner": "", "reason": ""}])
def test_a_run_is_assigned_without_a_reason(
    caller: Caller, run_id: UUID, body: dict[str, str]
) -> None:
    assert caller.post(f"/api/runs/{run_id}/assign", body).status_code == 202


# --- what would follow ---------------------------------------------------------------------


def foreseen(caller: Caller, run_id: UUID, verb: str, **arguments: Any) -> Any:
    return caller.post(f"/api/runs/{run_id}/preview", {"verb": verb, "arguments": arguments})


def test_a_preview_tells_what_an_action_leads_to_and_does_nothing(
    caller: Caller, run_id: UUID
) -> None:
    events = Event.objects.count()
    answer = foreseen(caller, run_id, "resolve")
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert (told["status"], told["undone"], told["approval"]) == ("resolved", [], False)
    assert told["kept"] == [{"step": "p", "why": "it is the point of no return"}]
    assert "Nothing is undone." in told["text"]
    assert told["imprint"] == caller.get(f"/api/runs/{run_id}").json()["imprint"]
    assert (status(run_id), Event.objects.count()) == ("needs_attention", events)
    assert not AuditEntry.objects.filter(run=run_id).exists()


def test_a_preview_of_a_cancel_lists_the_compensations_in_their_order(
    caller: Caller, known: Known
) -> None:
    waiting = begun(known(flow(["a", "b", wait_for("paid", timeout=timedelta(1))], name="other")))
    for step in ("a", "b"):
        carried(waiting, step, saga="other/1")
    told = foreseen(caller, waiting, "cancel").json()
    assert [[one["step"] for one in stage] for stage in told["undone"]] == [["b"], ["a"]]


def test_what_would_be_refused_is_refused_in_a_preview(caller: Caller, run_id: UUID) -> None:
    assert foreseen(caller, run_id, "cancel").status_code == 409
    assert foreseen(caller, run_id, "explode").status_code == 409
    assert foreseen(caller, run_id, "restart", step="p", agian=True).status_code == 409
    absent = "00000000-0000-7000-8000-000000000000"
    assert foreseen(caller, UUID(absent), "cancel").status_code == 404


def test_a_preview_is_for_those_who_may_act(caller_with: MakeCaller, run_id: UUID) -> None:
    assert foreseen(caller_with(Right.READ), run_id, "resolve").status_code == 403

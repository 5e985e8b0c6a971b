from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission

from sagas.api import wait_for
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.models import Run, Scope, Signal
from tests.sagas.driven import driven
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import carried
from tests.sagas.statements import counted
from tests.sagas.views.callers import Caller, MakeCaller


@pytest.fixture
def waiting() -> Iterator[Definition]:
    with registry.isolated():
        known = flow([wait_for("approved", timeout=timedelta(days=1))])
        registry.register(known)
        yield known


def test_a_signal_reaches_the_step_that_waits_for_it(waiting: Definition, caller: Caller) -> None:
    run_id = driven(waiting, Payload(), key="orders/7")
    answer = caller.post("/api/signals/approved/orders/7", {"by": "Ada"})
    assert (answer.status_code, answer.json()) == (202, {"delivered": True})
    carried(run_id, "approved")
    run = Run.objects.get(id=run_id)
    assert run.status == "succeeded"
    assert run.steps.get().result == {"by": "Ada"}


def test_a_signal_costs_the_same_however_many_runs_and_signals_there_are(
    waiting: Definition, caller: Caller
) -> None:
    costs = []
    for key in ("one", "two"):
        driven(waiting, Payload(), key=key)
        with counted() as statements:
            assert caller.post(f"/api/signals/approved/{key}", None).json() == {"delivered": True}
        costs.append(len(statements))
        for number in range(20):
            driven(waiting, Payload(), key=f"{key}-{number}")
            caller.post("/api/signals/approved/nobody", number)
    # who asks (3), the quota, savepoint, lock, keep, find, lock the run, read, take, write, release
    assert costs == [13, 13]


def test_an_early_signal_is_kept(waiting: Definition, caller: Caller) -> None:
    answer = caller.post("/api/signals/approved/order:1", "yes")
    assert (answer.status_code, answer.json()) == (202, {"delivered": False})
    run_id = driven(waiting, Payload(), key="order:1")
    assert Run.objects.get(id=run_id).status == "succeeded"


def test_a_signal_that_is_sent_twice_counts_once(waiting: Definition, caller: Caller) -> None:
    for _ in range(2):
        answer = caller.post("/api/signals/approved/order:1", "yes", idempotency_key="mail-17")
        assert answer.status_code == 202
    assert Signal.objects.count() == 1


def test_a_signal_needs_no_payload(caller: Caller) -> None:
    assert caller.post("/api/signals/approved/order:1", b"").status_code == 202
    assert Signal.objects.get().payload is None


@pytest.mark.parametrize(
    "path", ["x" * 81 + "/order:1", "approved/" + "x" * 201, "approved/a%00b", "%00/order:1"]
)
def test_an_address_that_no_signal_has_is_refused(caller: Caller, path: str) -> None:
    assert caller.post(f"/api/signals/{path}", None).status_code == 400


@pytest.mark.parametrize(
    "body", [b"{", b"NaN", b"1e999", b'"\\u0000"', b'"\\ud800"', b"[" * 300 + b"]" * 300]
)
def test_no_body_breaks_a_signal(caller: Caller, body: bytes) -> None:
    answer = caller.post("/api/signals/approved/order:1", body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert not Signal.objects.exists()


def test_a_deduplication_id_that_is_none_is_refused(caller: Caller) -> None:
    answer = caller.post("/api/signals/approved/order:1", None, idempotency_key="x" * 201)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_signal_for_a_run_whose_code_is_gone_is_kept_for_it(caller: Caller) -> None:
    with registry.isolated():
        known = flow([wait_for("approved", timeout=timedelta(days=1))])
        registry.register(known)
        driven(known, Payload(), key="order:1")
    answer = caller.post("/api/signals/approved/order:1", None)
    assert (answer.status_code, answer.json()) == (202, {"delivered": True})
    assert Signal.objects.get().taken_by is not None


def test_a_signal_reaches_only_runs_of_the_senders_sagas(
    waiting: Definition, caller_with: MakeCaller
) -> None:
    stranger, colleague = caller_with(), caller_with()
    for sender, saga in ((stranger, "other"), (colleague, "flow")):
        group = Group.objects.create(name=saga)
        group.permissions.add(Permission.objects.get(codename="change_run"))
        Scope.objects.create(group=group, saga=saga)
        assert sender.user is not None
        sender.user.groups.add(group)
    run_id = driven(waiting, Payload(), key="order:1")
    assert stranger.post("/api/signals/approved/order:1", "mine").status_code == 403
    assert stranger.post("/api/signals/approved/order:2", "early").status_code == 403
    assert Run.objects.get(id=run_id).status == "running"
    assert not Signal.objects.exists()
    assert colleague.post("/api/signals/approved/order:1", "yes").json() == {"delivered": True}
    carried(run_id, "approved")
    assert Run.objects.get(id=run_id).status == "succeeded"


def test_a_payload_that_does_not_fit_is_refused_with_its_fields(caller: Caller) -> None:
    with registry.isolated():
        wait = wait_for("amounts", payload=dict[str, int], timeout=timedelta(days=1))
        registry.register(flow([wait]))
        answer = caller.post("/api/signals/amounts/order:1", {"vat": "much"})
    assert answer.status_code == 400
    assert [problem["field"] for problem in answer.json()["errors"]] == ["payload.vat"]
    assert not Signal.objects.exists()


def test_a_signal_can_be_addressed_to_a_saga(waiting: Definition, caller: Caller) -> None:
    registry.register(flow([wait_for("approved", timeout=timedelta(days=1))], name="other"))
    assert caller.post("/api/signals/approved/order:1", None).status_code == 400
    assert caller.post("/api/signals/approved/order:1?saga=other", None).status_code == 202
    assert Signal.objects.get().saga == "other"


def test_unclaimed_signals_are_listed_with_the_reason(waiting: Definition, caller: Caller) -> None:
    caller.post("/api/signals/approved/order:1", None)
    [signal] = caller.get("/api/signals").json()["signals"]
    assert (signal["name"], signal["saga"], signal["key"]) == ("approved", "flow", "order:1")
    assert (signal["reason"], signal["run"]) == ("no run waits for it", None)

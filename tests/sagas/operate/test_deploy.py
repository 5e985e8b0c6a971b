"""Check-deploy: what the code at hand would do to the runs that are under way."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.utils import timezone
from pydantic import BaseModel

from sagas import db
from sagas.define import registry
from sagas.define.saga import Definition
from sagas.define.step import Step
from sagas.models import Run
from sagas.operate.deploy import Group, Unfit, check_deploy
from sagas.states import TERMINAL_RUNS, RunStatus
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.stage import Actor, Known, begun, carried, run_of, status
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def deploy(*sagas: Definition, **options: int) -> list[Group]:
    """Have the process know only these, and check."""
    registry._sagas.clear()
    for saga in sagas:
        registry.register(saga)
    return list(check_deploy(**options))


def test_nothing_unfinished_is_no_group(known: Known) -> None:
    run_id = begun(known(flow(["a"])))
    carried(run_id, "a")
    assert status(run_id) == "succeeded"
    assert deploy() == []


def test_runs_are_grouped_by_what_they_pin(known: Known) -> None:
    one, two = known(flow(["a", "b"])), known(flow(["a"], version=2))
    first, _, third = begun(one), begun(one), begun(two)
    assert deploy(one) == [
        Group("flow", 1, one.fingerprint, 2, run_of(first).created_at, first, "", 2),
        Group(
            *("flow", 2, two.fingerprint, 1, run_of(third).created_at, third),
            "Saga 'flow' has no version 2; it has 1. "
            "Compared with <Saga flow v1>: step 'b' is new after 'a'.",
        ),
    ]


def test_what_has_changed_is_told_of_each_group(known: Known) -> None:
    before = known(flow(["a", "b", "c"]))
    begun(before)
    [group] = deploy(flow(["c", "a", "x"]))
    assert group.mismatch == (
        "<Saga flow v1> has other steps than when this run started: step 'b' is gone; "
        "step 'x' is new after 'a'; 'c' now comes before 'a'."
    )


def test_runs_of_one_version_that_was_changed_twice_are_told_apart(known: Known) -> None:
    older, newer = flow([simple("a", harmless=True), "b"]), flow(["a", "b"])
    begun(older)
    begun(newer)
    assert [group.mismatch for group in deploy(newer)] == ["", ""]
    groups = {group.fingerprint: group.mismatch for group in deploy(older)}
    assert groups[older.fingerprint] == ""
    assert groups[newer.fingerprint].endswith("step 'a' has lost its compensation.")


def test_every_unfinished_state_counts_and_no_other() -> None:
    now = timezone.now()
    for number, state in enumerate(RunStatus):
        over = now if state in TERMINAL_RUNS else None
        Run.objects.create(
            saga="flow", version=1, business_key=str(number), payload={}, status=state,
            attention="why", finished_at=over,
        )  # fmt: skip
    [group] = deploy()
    assert group.runs == len(set(RunStatus) - TERMINAL_RUNS)


def test_the_oldest_run_is_named(known: Known) -> None:
    saga = known(flow(["a"]))
    first = begun(saga)
    begun(saga)
    created = timezone.now() - timedelta(days=3)
    Run.objects.filter(pk=first).update(created_at=created)
    [group] = deploy()
    assert (group.oldest, group.since) == (first, created)


def test_one_statement_for_all_groups_and_one_for_each_that_breaks(known: Known) -> None:
    sagas = [known(flow(["a"], name)) for name in ("one", "two", "three")]
    for saga in sagas * 3:
        begun(saga)
    with counted() as statements:
        deploy(*sagas, documents=0)
    assert len(statements) == 1
    with counted() as statements:
        broken = [group for group in deploy(sagas[0], documents=0) if group.mismatch]
    assert len(broken) == 2
    assert len(statements) == 3


_FINISHED = """
INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
  revision, halt, attention, created_at, finished_at)
SELECT gen_random_uuid(), 'flow', 1, 'f', 'over:' || n, '{}', 'succeeded', 1, 1, '', '', now(),
  now()
FROM generate_series(1, 3000) n"""


def test_finished_runs_are_not_read(known: Known) -> None:
    begun(known(flow(["a"])))
    db.execute(_FINISHED)
    db.execute("ANALYZE sagas_run")
    with counted() as statements:
        deploy()
    plan = "\n".join(line for (line,) in db.execute(f"EXPLAIN {statements[0]}"))
    assert "sagas_run_notable" in plan


@override_settings(SAGAS={"DEPLOY_SECONDS": 0})
@pytest.mark.parametrize(
    "after",
    [
        flow(["a", "b"]),
        flow(["b", "a"]),
        flow(["a", "b", "c"]),
        flow(["a", simple("b", harmless=True)]),
        flow(["a", "b"], version=2),
    ],
)
def test_it_foretells_what_a_worker_with_this_code_does(known: Known, after: Definition) -> None:
    run_id = begun(known(flow(["a", simple("b", timeout=3)])))
    [group] = deploy(after)
    carried(run_id, "a")
    parked = run_of(run_id).attention
    assert bool(parked) == bool(group.mismatch)
    assert group.mismatch in parked
    assert UUID(str(group.oldest)) == run_id


def test_checking_moves_no_run(known: Known) -> None:
    actor = Actor()
    saga = known(flow(actor.steps("ab")))
    run_id = begun(saga)
    [group] = deploy()
    assert group.mismatch
    assert (status(run_id), actor.calls) == ("pending", [])


# --- what is stored ------------------------------------------------------------------------


class Receipt(BaseModel):
    number: int


class Renamed(BaseModel):
    no: int


def ordered(payload: type[BaseModel], result: type[Any]) -> Definition:
    """A saga with a payload and a result of these types; the structure is always the same."""

    def pay(run: Any) -> Any:
        return Receipt(number=7)

    pay.__annotations__["return"] = result
    paid = Step("pay", pay)
    paid.compensate(lambda run: None)
    return Definition("flow", payload=payload, steps=[paid, simple("b", queue="other")])


def test_a_payload_that_the_model_no_longer_reads_is_told_by_its_field(known: Known) -> None:
    first = begun(known(ordered(Payload, Receipt)), Payload(number=3))
    begun(registry.get("flow"))

    class Needs(Payload):
        street: str

    [group] = deploy(ordered(Needs, Receipt))
    assert (group.mismatch, group.read, group.continues) == ("", 2, False)
    assert group.unfit == (Unfit("the payload", "street", "Field required", 2, first),)


def test_a_result_that_its_type_no_longer_reads_is_told_by_step_and_field(known: Known) -> None:
    run_id = begun(known(ordered(Payload, Receipt)))
    begun(registry.get("flow"))
    carried(run_id, "pay")
    [group] = deploy(ordered(Payload, Renamed))
    assert group.unfit == (Unfit("the result of 'pay'", "no", "Field required", 1, run_id),)


def test_what_the_models_still_read_is_fit(known: Known) -> None:
    run_id = begun(known(ordered(Payload, Receipt)))
    carried(run_id, "pay")

    class More(Payload):
        street: str = ""

    class Less(BaseModel):
        pass

    assert [group.continues for group in deploy(ordered(More, Less))] == [True]


def test_no_more_documents_are_read_than_was_asked_for(known: Known) -> None:
    saga = known(ordered(Payload, Receipt))
    for _ in range(45):
        begun(saga)
    for asked, read, statements in ((0, 0, 0), (5, 5, 1), (1000, 45, 3)):
        with counted() as sent:
            [group] = check_deploy(documents=asked)
        assert (group.read, len(sent) - 1) == (read, statements)


def test_a_value_that_does_not_fit_is_not_told(known: Known) -> None:
    begun(known(ordered(Payload, Receipt)), Payload(refuse="secret"))

    class Number(BaseModel):
        refuse: int

    [group] = deploy(ordered(Number, Receipt))
    assert "secret" not in str(group)

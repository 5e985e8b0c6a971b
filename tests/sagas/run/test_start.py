"""Starting: one run per key, in the caller's own transaction."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from pydantic import BaseModel, ConfigDict, Field, computed_field

from sagas import db
from sagas.api import Run as Context
from sagas.api import step
from sagas.conf import conf
from sagas.define.saga import Definition
from sagas.errors import (
    BacklogFull,
    DefinitionError,
    KeyConflict,
    PayloadInvalid,
    SagaError,
    UnknownSaga,
)
from sagas.models import Event, Run, Step
from sagas.run.start import _WAITING, Started, start
from sagas.states import StepStatus
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, fork, simple
from tests.sagas.stage import Known, at_once, begun, carried, run_of, states, status, told

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def saga(known: Known) -> Definition:
    return known(flow(["a", "b"]))


# --- what is written -----------------------------------------------------------------------


def test_a_run_is_written_with_its_steps_and_its_first_events(saga: Definition) -> None:
    receipt = start(saga, Payload(number=7), key="order:1")
    run = Run.objects.get()
    assert receipt == Started(run.id, "flow", "order:1", created=True)
    assert (run.saga, run.version, run.fingerprint) == ("flow", 1, saga.fingerprint)
    assert (run.business_key, run.status, run.epoch) == ("order:1", "pending", 1)
    assert run.payload == {"number": 7, "refuse": ""}
    assert run.deadline_at is None
    assert run.started_at is None
    assert states(run.id) == {"a": "ready", "b": "pending"}
    assert told(run.id).problems == []
    assert [(e.step, e.new) for e in Event.objects.all()] == [("", "pending"), ("a", "ready")]


def test_a_saga_can_be_started_by_name_with_plain_data(saga: Definition) -> None:
    receipt = start("flow", {"number": 7}, key="order:1")
    assert run_of(receipt.id).payload["number"] == 7


def test_all_branches_of_a_saga_that_begins_with_a_fork_are_ready(known: Known) -> None:
    run_id = begun(known(flow([fork("a", ["b", "c"])])))
    assert states(run_id) == {"a": "ready", "b": "ready", "c": "pending"}


@pytest.mark.parametrize(
    ("of_saga", "of_start", "seconds"),
    [(None, None, None), (60, None, 60), (60, 5, 5), (None, 5, 5)],
)
def test_a_deadline_is_the_callers_or_else_the_sagas(
    known: Known, of_saga: int | None, of_start: int | None, seconds: int | None
) -> None:
    own = None if of_saga is None else timedelta(seconds=of_saga)
    given = None if of_start is None else timedelta(seconds=of_start)
    run = run_of(begun(known(flow(["a"], deadline=own)), deadline=given))
    if seconds is None:
        assert run.deadline_at is None
    else:
        assert run.deadline_at is not None
        assert run.deadline_at - run.created_at == pytest.approx(
            timedelta(seconds=seconds), abs=timedelta(seconds=0.5)
        )


def test_a_saga_that_nobody_knows_cannot_be_started_by_name() -> None:
    with pytest.raises(UnknownSaga, match="No saga is named 'nobody-knows'"):
        start("nobody-knows", {}, key="k")


# --- conditions at the start ---------------------------------------------------------------


def test_a_first_step_may_have_a_condition(known: Known) -> None:
    saga = known(flow([simple("a", when=lambda run: run.payload.number == 1), "b"]))
    yes, no = begun(saga, Payload(number=1)), begun(saga, Payload(number=2))
    assert states(yes) == {"a": "ready", "b": "pending"}
    assert states(no) == {"a": "skipped", "b": "ready"}
    assert (status(yes), status(no)) == ("pending", "pending")


def test_a_first_condition_may_look_at_the_clock(known: Known) -> None:
    saga = known(flow([simple("a", when=lambda run: run.now.year < 2000), "b"]))
    assert states(begun(saga)) == {"a": "skipped", "b": "ready"}


def test_a_first_condition_that_raises_needs_a_person(known: Known) -> None:
    def broken(run: Any) -> bool:
        raise LookupError

    run = run_of(begun(known(flow([simple("a", when=broken)]))))
    assert run.status == "needs_attention"
    assert run.attention == "The condition of step 'a' raised lookup error."


def test_a_run_whose_steps_are_all_skipped_has_succeeded_at_once(known: Known) -> None:
    run = run_of(begun(known(flow([simple("a", when=lambda run: False)]))))
    assert run.status == "succeeded"
    assert run.finished_at is not None
    assert told(run.id).problems == []


# --- keys ----------------------------------------------------------------------------------


def test_the_same_key_and_payload_give_the_same_run(saga: Definition) -> None:
    first = start(saga, Payload(number=7), key="order:1")
    again = start(saga, {"number": 7}, key="order:1")
    assert (again.id, again.created) == (first.id, False)
    assert Run.objects.count() == 1
    assert Step.objects.count() == 2


def test_the_same_key_with_another_payload_is_a_conflict(saga: Definition) -> None:
    first = start(saga, Payload(number=7), key="order:1")
    with pytest.raises(KeyConflict) as caught:
        start(saga, Payload(number=8), key="order:1")
    assert "'order:1'" in str(caught.value)
    assert "Use a new key for new data" in str(caught.value)
    assert str(first.id) not in str(caught.value)  # it may not be the same sender


def test_a_conflict_leaves_the_callers_transaction_usable(saga: Definition) -> None:
    start(saga, Payload(number=7), key="order:1")
    with pytest.raises(KeyConflict):
        start(saga, Payload(number=8), key="order:1")
    assert start(saga, Payload(number=8), key="order:2").created


def test_the_same_key_may_start_another_saga(saga: Definition, known: Known) -> None:
    other = known(flow(["a"], name="other"))
    assert start(saga, Payload(), key="order:1").id != start(other, Payload(), key="order:1").id


def test_a_new_version_of_the_saga_gives_the_run_of_the_old_one(
    saga: Definition, known: Known
) -> None:
    first = start("flow", Payload(), key="order:1")
    known(flow(["a", "b", "c"], version=2))
    assert start("flow", Payload(), key="order:1").id == first.id


@pytest.mark.parametrize("key", ["", "x" * 201, "nul\x00", "half\ud800", 17, None, b"key"])
def test_a_key_that_cannot_be_stored_is_refused_with_its_cure(saga: Definition, key: Any) -> None:
    with pytest.raises(SagaError, match="a key needs 1 to 200 characters"):
        start(saga, Payload(), key=key)


@pytest.mark.parametrize(
    "deadline", [30, -1, timedelta(0), timedelta(days=-1), timedelta.max, "1h"]
)
def test_a_deadline_that_is_no_time_ahead_is_refused(saga: Definition, deadline: Any) -> None:
    with pytest.raises(SagaError, match="deadline must be a timedelta above 0") as refused:
        start(saga, Payload(), key="k", deadline=deadline)
    assert not isinstance(refused.value, DefinitionError)


@pytest.mark.parametrize("tags", ["campaign", 5, [5], [""], None, {"a": 1}, ["x"] * 21])
def test_tags_that_are_no_list_of_words_are_refused(saga: Definition, tags: Any) -> None:
    with pytest.raises(SagaError, match="tags are a list of at most 20 words"):
        start(saga, Payload(), key="k", tags=tags)


@pytest.mark.parametrize("wrong", [simple("a"), Definition, None, 5])
def test_what_is_no_saga_cannot_be_started(wrong: Any) -> None:
    with pytest.raises(SagaError, match=r"start\(\) needs a saga or its name"):
        start(wrong, Payload(), key="k")


class Rates(BaseModel):
    rates: Any


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_a_number_that_json_cannot_hold_is_refused_and_not_stored_as_null(
    known: Known, lost: float
) -> None:
    known(Definition("rates", payload=Rates, steps=[simple("a")]))
    with pytest.raises(PayloadInvalid) as refused:
        start("rates", Rates(rates={"EUR": [1.0, lost]}), key="k")
    (problem,) = refused.value.problems
    assert problem["field"] == "rates.EUR.1"
    assert "is no number in JSON" in problem["message"]


def test_a_long_key_of_wide_characters_is_a_key(saga: Definition) -> None:
    key = "🦉" * 200
    assert start(saga, Payload(), key=key).id == start(saga, Payload(), key=key).id


# --- payloads ------------------------------------------------------------------------------


class Free(BaseModel):
    anything: Any = None
    weight: float = 0.0


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"anything": "nul\x00"}, "NUL"),
        ({"anything": {"key\x00": 1}}, "NUL"),
        ({"anything": "half \ud800"}, "surrogate"),
        ({"anything": _deep(150)}, "deeper than"),
        ({"anything": _deep(300)}, "depth exceeded"),
        ({"anything": "x" * 300_000}, "larger than"),
        ({"anything": 10**5000}, "digits"),
        ({"weight": float("nan")}, "JSON compliant"),
        ({"weight": float("-inf")}, "JSON compliant"),
    ],
    ids=["nul", "key", "surrogate", "deep", "deeper", "large", "digits", "nan", "infinity"],
)
def test_a_payload_that_cannot_be_stored_is_invalid(
    known: Known, payload: dict[str, Any], reason: str
) -> None:
    saga = known(Definition("free", payload=Free, steps=[simple("a")]))
    with pytest.raises(PayloadInvalid, match=reason):
        start(saga, payload, key="k")
    assert not Run.objects.exists()


def test_a_model_that_was_changed_into_something_invalid_is_refused(saga: Definition) -> None:
    payload = Payload(number=7)
    payload.number = "many"  # type: ignore[assignment]
    with pytest.raises(PayloadInvalid, match="number"):
        start(saga, payload, key="k")


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")

    unit_price: Decimal = Field(alias="unitPrice")
    quantity: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity


class Basket(BaseModel):
    model_config = ConfigDict(extra="forbid", serialize_by_alias=True)

    order_lines: list[Line] = Field(validation_alias="orderLines")


def test_aliases_and_computed_fields_survive_the_record(known: Known) -> None:
    seen: list[Basket] = []

    @step(harmless=True)
    def look(run: Context[Basket]) -> None:
        seen.append(run.payload)

    saga = known(Definition("basket", payload=Basket, steps=[look]))
    data = {"orderLines": [{"unitPrice": "9.90", "quantity": 2}]}
    run_id = start(saga, data, key="k").id
    carried(run_id, "look")
    assert [basket.order_lines[0].total for basket in seen] == [Decimal("19.80")]
    assert status(run_id) == "succeeded"


# --- transactions --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_the_caller_commits(saga: Definition, post: Post) -> None:
    with transaction.atomic():
        start(saga, Payload(), key="order:1")
        assert post.count() == 0
    assert post.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_caller_that_rolls_back_has_started_nothing(saga: Definition, post: Post) -> None:
    with transaction.atomic():
        start(saga, Payload(), key="order:1")
        transaction.set_rollback(True)
    assert not Run.objects.exists()
    assert post.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_repeated_start_sends_nothing(saga: Definition, post: Post) -> None:
    start(saga, Payload(), key="order:1")
    start(saga, Payload(), key="order:1")
    assert post.count() == 1


@pytest.mark.django_db(transaction=True)
def test_callers_that_use_one_key_at_the_same_moment_get_one_run(
    saga: Definition, post: Post
) -> None:
    for number in range(10):
        key = f"order:{number}"
        receipts = at_once(*[partial(start, saga, Payload(), key=key)] * 4)
        started = [receipt for receipt in receipts if isinstance(receipt, Started)]
        assert len(started) == 4, receipts
        assert len({receipt.id for receipt in started}) == 1
        assert sum(receipt.created for receipt in started) == 1
    assert (Run.objects.count(), Step.objects.count(), post.count()) == (10, 20, 10)


@pytest.mark.django_db(transaction=True)
def test_of_two_payloads_under_one_key_at_the_same_moment_one_wins(saga: Definition) -> None:
    for number in range(10):
        key = f"order:{number}"
        outcomes = at_once(*(partial(start, saga, Payload(number=n), key=key) for n in (1, 2)))
        assert {type(outcome) for outcome in outcomes} == {Started, KeyConflict}


@pytest.mark.django_db(transaction=True)
def test_a_key_is_free_again_when_its_first_user_rolls_back(saga: Definition) -> None:
    with transaction.atomic():
        first = start(saga, Payload(number=1), key="order:1")
        transaction.set_rollback(True)
    second = start(saga, Payload(number=2), key="order:1")
    assert second.created
    assert second.id != first.id


def test_ids_are_in_order_of_time(saga: Definition) -> None:
    ids: list[UUID] = [begun(saga) for _ in range(5)]
    assert all(run_id.version == 7 for run_id in ids)
    assert len(set(ids)) == 5


def test_a_ready_first_step_is_woken_if_its_message_gets_lost(saga: Definition) -> None:
    first = Step.objects.select_related("run").get(run_id=begun(saga), name="a")
    assert first.status == StepStatus.READY
    assert first.run.wake_at is not None
    assert first.due_at is not None
    pause = (first.run.wake_at - first.due_at).total_seconds()
    assert pause == pytest.approx(conf().RESEND_SECONDS, abs=1)


# --- how many may wait ---------------------------------------------------------------------


def test_no_more_runs_are_started_than_may_wait_for_their_first_step(known: Known) -> None:
    saga = known(flow(["a"], backlog=2))
    first = begun(saga, key="1")
    begun(saga, key="2")
    with pytest.raises(BacklogFull, match="2 of its runs wait for their first step") as caught:
        begun(saga, key="3")
    assert caught.value.retry_after > 0
    assert Run.objects.count() == 2
    assert not start(saga, Payload(), key="1").created, "it is known, and starts nothing"
    with pytest.raises(KeyConflict):
        start(saga, Payload(number=8), key="1")
    carried(first, "a")
    assert begun(saga, key="3")


def test_a_backlog_is_of_one_saga(known: Known) -> None:
    flooded, other = known(flow(["a"], "flooded", backlog=1)), known(flow(["a"], "other"))
    begun(flooded)
    with pytest.raises(BacklogFull):
        begun(flooded)
    assert [begun(other) for _ in range(3)]


@pytest.mark.django_db(transaction=True)
def test_what_others_have_not_committed_does_not_wait_yet(known: Known) -> None:
    saga = known(flow(["a"], backlog=1))

    def slowly(key: str) -> UUID:
        with transaction.atomic():
            run_id = begun(saga, key=key)
            db.execute("SELECT pg_sleep(0.3)")
            return run_id

    outcomes = at_once(partial(slowly, "1"), partial(slowly, "2"))
    assert all(isinstance(outcome, UUID) for outcome in outcomes), "as is said: those at once may"
    with pytest.raises(BacklogFull):
        begun(saga, key="3")


def test_a_backlog_is_counted_among_the_newest_that_wait(known: Known) -> None:
    """So that a start reads no more rows than that, whatever waits beside."""
    flooded, other = known(flow(["a"], "flooded", backlog=1)), known(flow(["a"], "other"))
    begun(flooded)
    for _ in range(9):
        begun(other)
    with pytest.raises(BacklogFull):
        begun(flooded)
    begun(other)
    assert begun(flooded)


def test_how_many_wait_is_asked_of_an_index(known: Known) -> None:
    saga = known(flow(["a"], backlog=5_000))
    begun(saga)
    columns = "saga, version, fingerprint, business_key, payload, status, epoch, revision, halt"
    db.execute(
        f"INSERT INTO sagas_run (id, {columns}, attention, finished_at) "
        "SELECT gen_random_uuid(), 'flow', 1, 'x', 'old' || n, '{}', 'succeeded', 1, 0, '', '', "
        "now() FROM generate_series(1, 20000) n"
    )
    db.execute("ANALYZE sagas_run")
    asked = _WAITING.replace("%(saga)s", "'flow'").replace("%(among)s", "1000")
    plan = "\n".join(line for (line,) in db.execute(f"EXPLAIN {asked}"))
    assert "Backward using sagas_run_notable" in plan, plan

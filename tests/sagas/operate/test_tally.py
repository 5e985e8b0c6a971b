"""What a batch tells of its runs: what each was answered, and where it stands now."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.contrib.auth.models import User

from sagas import retire
from sagas.models import Batch, BatchItem, Event, ItemStatus, Run
from sagas.operate.batch_run import work
from sagas.operate.bulk import confirm, draft
from sagas.operate.instruction import instruction
from sagas.operate.retry import retry
from sagas.operate.tally import StateNow, followed, summary, tally
from sagas.states import RunStatus
from tests.sagas.operate.batches import drafted, operator, saga_of, stopped
from tests.sagas.operate.parked import WHY
from tests.sagas.operate.rows import a_run, ago
from tests.sagas.stage import Actor, Known, begun, carried, run_of, status
from tests.sagas.statements import counted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


@pytest.fixture
def ann(db: None) -> User:
    return operator()


@pytest.fixture
def actor() -> Actor:
    return Actor()


def done(batch: Batch, by: User) -> Batch:
    confirm(batch.pk, by)
    work(batch.pk, "task")
    batch.refresh_from_db()
    return batch


def now(batch: Batch) -> dict[str, int]:
    return {str(state): n for state, n in tally(batch).now.items() if n}


def each(batch: Batch) -> dict[str, str]:
    return dict(followed(batch.items.order_by("id")).values_list("key", "now"))


def told(batch: Batch) -> str:
    return summary(batch, tally(batch))


def finished(run_id: UUID) -> None:
    """Let a worker do what is left of a run."""
    carried(run_id, "b", "c")


def test_what_was_accepted_is_followed_to_where_it_stands_now(
    known: Known, actor: Actor, ann: User
) -> None:
    ids = stopped(saga_of(known, actor), 4)
    batch = done(drafted(ann), ann)
    assert told(batch) == "4 retried: 4 running"
    carried(ids[0], "b")
    assert status(ids[0]) == "needs_attention"
    actor.answers.clear()
    for run_id in ids[1:3]:
        finished(run_id)
    assert now(batch) == {"succeeded": 2, "failed_again": 1, "running": 1}
    assert told(batch) == "4 retried: 2 succeeded, 1 failed again, 1 running"
    assert each(batch) == {
        "flow:0": "failed_again", "flow:1": "succeeded", "flow:2": "succeeded", "flow:3": "running",
    }  # fmt: skip
    assert not tally(batch).settled
    finished(ids[3])
    assert not tally(batch).settled, "somebody may still deal with the one that failed"
    retry(ids[0], "b", **WHY)
    finished(ids[0])
    assert told(batch) == "4 retried: 4 succeeded"
    assert tally(batch).settled


def test_only_attention_that_came_after_the_action_is_called_failed_again(
    known: Known, actor: Actor, ann: User
) -> None:
    """Who is assigned a run that stands changes nothing of how it stands."""
    (run_id,) = stopped(saga_of(known, actor), 1)
    mine = instruction("assign", {"owner": ""})
    batch = done(draft(Run.objects.all(), mine, by=ann, reason="", rate=200), ann)
    assert told(batch) == "1 assigned: 1 needs attention"
    retry(run_id, "b", **WHY)
    carried(run_id, "b")
    assert told(batch) == "1 assigned: 1 failed again"


def test_what_had_not_failed_before_has_not_failed_again(
    known: Known, actor: Actor, ann: User
) -> None:
    saga = saga_of(known, actor)
    ids = [begun(saga, key=key) for key in "ab"]
    paused = draft(Run.objects.all(), instruction("pause", {}), by=ann, reason="r", rate=200)
    batch = done(paused, ann)
    Event.objects.create(run_id=ids[0], old="running", new="needs_attention", epoch=1)
    Run.objects.filter(pk=ids[0]).update(status="needs_attention", attention="why")
    assert told(batch) == "2 paused: 1 needs attention, 1 pending"


def test_a_reason_that_is_added_while_a_run_stands_is_no_new_failure(
    known: Known, actor: Actor, ann: User
) -> None:
    (run_id,) = stopped(saga_of(known, actor), 1)
    mine = instruction("assign", {"owner": ""})
    batch = done(draft(Run.objects.all(), mine, by=ann, reason="", rate=200), ann)
    Event.objects.create(run_id=run_id, old="needs_attention", new="needs_attention", epoch=1)
    assert now(batch) == {"needs_attention": 1}


def test_runs_that_are_gone_are_counted_as_removed(known: Known, actor: Actor, ann: User) -> None:
    first, second = stopped(saga_of(known, actor), 2)
    batch = done(drafted(ann), ann)
    actor.answers.clear()
    for run_id in (first, second):
        finished(run_id)
    assert retire.remove({first: run_of(first).revision}).runs == {first}
    assert told(batch) == "2 retried: 1 succeeded, 1 removed"
    assert each(batch)["flow:0"] == "removed"
    assert tally(batch).settled


def test_runs_that_it_could_not_act_on_are_beside_what_it_did(
    known: Known, actor: Actor, ann: User
) -> None:
    saga = saga_of(known, actor)
    ids = stopped(saga, 3)
    begun(saga, key="new:0")
    batch = drafted(ann)
    assert told(batch) == ""
    retry(ids[0], "b", **WHY)
    actor.answers.clear()
    finished(ids[0])
    batch = done(batch, ann)
    assert told(batch) == "2 retried: 2 running; 1 refused; 1 left out"
    assert each(batch)["flow:0"] == "succeeded", "where it stands, though the batch did nothing"
    assert [(r.status, r.count) for r in tally(batch).reasons] == [("refused", 1), ("unfit", 1)]


def test_nothing_accepted_is_told_as_such(known: Known, actor: Actor, ann: User) -> None:
    (run_id,) = stopped(saga_of(known, actor), 1)
    batch = drafted(ann)
    retry(run_id, "b", **WHY)
    assert told(done(batch, ann)) == "none retried; 1 refused"


def test_a_verb_that_is_gone_is_accepted_all_the_same(ann: User) -> None:
    batch = Batch.objects.create(
        verb="heal", arguments={}, reason="r", matched=1, rate=1, status="done", created_by="ann"
    )
    run = a_run("a", "compensated")
    BatchItem.objects.create(
        batch=batch, run=run.pk, key="a", status=ItemStatus.ACCEPTED, at=ago(minutes=1)
    )
    assert told(batch) == "1 accepted: 1 compensated"


def test_a_batch_of_thousands_takes_as_many_statements_as_a_batch_of_one(ann: User) -> None:
    batch = Batch.objects.create(
        verb="retry", arguments={}, reason="r", matched=1, rate=1, status="done", created_by="ann"
    )
    with counted() as few:
        tally(batch)
    statuses = [RunStatus.SUCCEEDED, RunStatus.NEEDS_ATTENTION, RunStatus.RUNNING, None]
    for number in range(2000):
        where = statuses[number % 4]
        run_id = a_run(f"k{number}", where).pk if where else UUID(int=number)
        BatchItem.objects.create(
            batch=batch, run=run_id, key=f"k{number}", status="done", at=ago(minutes=1)
        )
    with counted() as many:
        found = tally(batch)
    assert len(many) == len(few) == 2
    assert (found.accepted, sum(found.now.values())) == (2000, 2000)
    assert found.now[StateNow.REMOVED] == 500


def test_every_status_of_a_run_has_its_place() -> None:
    assert {str(s) for s in StateNow} == {*map(str, RunStatus), "failed_again", "removed"}

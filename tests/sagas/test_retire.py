"""Removing runs from the record: only those that are over, and only as they were seen."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from sagas import db, retire
from sagas.define.step import wait_for
from sagas.models import Event, Run, Signal, Step
from sagas.operate.signal import send_signal
from sagas.states import TERMINAL_RUNS, RunStatus
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.stage import Actor, Known, at_once, begun, carried, elsewhere, run_of, status

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture
def over(known: Known, actor: Actor) -> UUID:
    """A run that has succeeded and took a signal."""
    saga = known(flow([*actor.steps("a"), wait_for("paid", timeout=timedelta(hours=1))]))
    run_id = begun(saga, key="order:1")
    send_signal("paid", "order:1", {"by": "Ada"})
    carried(run_id, "a")
    assert status(run_id) == "succeeded"
    return run_id


def seen(*runs: UUID) -> dict[UUID, int]:
    return {run_id: run_of(run_id).revision for run_id in runs}


def test_a_run_goes_with_its_steps_its_events_and_the_signals_it_took(over: UUID) -> None:
    send_signal("paid", "order:2", None)
    assert retire.remove(seen(over)).runs == {over}
    assert not Run.objects.exists()
    assert not Step.objects.exists()
    assert not Event.objects.exists()
    assert [kept.correlation for kept in Signal.objects.all()] == ["order:2"]


def test_other_runs_keep_everything(known: Known, actor: Actor, over: UUID) -> None:
    other = begun(known(flow(actor.steps("ab"), "other")))
    before = [Step.objects.filter(run=other).count(), Event.objects.filter(run=other).count()]
    retire.remove(seen(over))
    after = [Step.objects.filter(run=other).count(), Event.objects.filter(run=other).count()]
    assert after == before != [0, 0]


@pytest.mark.parametrize("unfinished", sorted(set(RunStatus) - TERMINAL_RUNS))
def test_a_run_that_is_not_over_stays(unfinished: RunStatus) -> None:
    run = Run.objects.create(
        saga="flow", version=1, business_key="k", payload={}, status=unfinished, attention="why"
    )
    assert retire.remove(seen(run.id)).runs == set()
    assert Run.objects.filter(pk=run.id).exists()


def test_a_run_that_was_written_to_since_it_was_seen_stays(over: UUID) -> None:
    revisions = seen(over)
    Run.objects.filter(pk=over).update(revision=revisions[over] + 1)
    assert retire.remove(revisions).runs == set()
    assert Event.objects.filter(run=over).exists()


def test_a_run_that_is_gone_already_is_no_error(over: UUID) -> None:
    revisions = seen(over) | {uuid4(): 1}
    assert retire.remove(revisions).runs == {over}
    assert retire.remove(revisions).runs == set()
    assert retire.remove({}).runs == set()


def test_events_stay_history_for_the_rest_of_the_callers_transaction(
    known: Known, actor: Actor, over: UUID
) -> None:
    other = begun(known(flow(actor.steps("a"), "other")))
    retire.remove(seen(over))
    with pytest.raises(IntegrityError, match="is history"), transaction.atomic():
        Event.objects.filter(run=other).delete()


@pytest.mark.django_db(transaction=True)
def test_a_run_that_somebody_holds_is_skipped_and_not_waited_for(over: UUID) -> None:
    revisions = seen(over)

    def elsewhere_at_once() -> object:
        db.execute("SET statement_timeout = '5s'")
        return elsewhere(lambda: retire.remove(revisions).runs)

    with transaction.atomic():
        db.execute("SELECT 1 FROM sagas_run WHERE id = %s FOR NO KEY UPDATE", [over])
        assert at_once(elsewhere_at_once) == [set()]
    assert retire.remove(revisions).runs == {over}


@pytest.mark.django_db(transaction=True)
def test_two_that_remove_the_same_runs_share_them_out(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    ids = [begun(saga) for _ in range(20)]
    for run_id in ids:
        carried(run_id, "a")
    revisions = seen(*ids)
    one, two = at_once(
        lambda: elsewhere(lambda: retire.remove(revisions).runs),
        lambda: elsewhere(lambda: retire.remove(revisions).runs),
    )
    assert one | two <= set(ids)
    assert not one & two
    assert Run.objects.count() == 20 - len(one) - len(two)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM sagas_event WHERE run_id NOT IN (SELECT id FROM sagas_run)"
        )
        assert cursor.fetchone() == (0,)

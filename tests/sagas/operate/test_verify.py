"""Verify: the log of each run against its rows."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from threading import Event
from uuid import UUID

import pytest
from django.utils import timezone
from pytest_django import Settings

from sagas import db
from sagas.api import retry
from sagas.define import registry
from sagas.define.outcome import Refused, RetryLater, Unknown
from sagas.models import Event as Row
from sagas.models import Run, Step
from sagas.operate.verify import Verdict, verify
from sagas.testing.post import Post
from tests.sagas.flows import flow, fork, pivot
from tests.sagas.operate.parked import WHY, stopped_past_the_pivot
from tests.sagas.stage import Actor, Known, at_once, begun, carried, elsewhere, lapse, tampering
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return Actor()


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


@pytest.fixture
def run_id(known: Known, actor: Actor) -> UUID:
    """A run that turned back after a retry: both directions, two epochs, two attempts."""
    saga = known(flow(actor.steps("ab")))
    found = begun(saga)
    actor.answers["do a"] = RetryLater("busy")
    carried(found, "a")
    actor.answers["do a"] = None
    actor.answers["do b"] = Refused("no")
    lapse(found)
    carried(found, "a")
    assert Run.objects.get(pk=found).status == "compensated"
    return found


def differences(**options: object) -> list[str]:
    return [d for verdict in verify(**options) for d in verdict.differences]  # type: ignore[arg-type]


def test_runs_in_every_state_agree_with_their_events(
    known: Known, actor: Actor, run_id: UUID
) -> None:
    saga = known(flow([fork(*actor.steps("xy")), pivot(actor.step("p")), actor.step("z")], "other"))
    begun(saga)
    for answer in (None, RetryLater("busy"), Unknown("timeout"), Refused("no")):
        for call in ("do x", "do p", "do z"):
            actor.answers = {call: answer}
            current = begun(saga)
            for step in "xypz":
                carried(current, step, saga="other/1")
    statuses = set(Run.objects.values_list("status", flat=True))
    assert statuses >= {"pending", "running", "succeeded", "compensated", "needs_attention"}
    assert differences() == []


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (
            lambda run: Run.objects.filter(pk=run).update(status="succeeded"),
            "status of the run: the events say compensated, its row says succeeded",
        ),
        (
            lambda run: Run.objects.filter(pk=run).update(epoch=7),
            "epoch of the run: the events say 2, its row says 7",
        ),
        (
            lambda run: Step.objects.filter(run=run, name="b").update(status="skipped"),
            "status of step b (forward): the events say failed, its row says skipped",
        ),
        (
            lambda run: Step.objects.filter(run=run, name="a", direction="forward").update(
                attempt=1
            ),
            "attempts of step a (forward): the events say 2, its row says 1",
        ),
        (
            lambda run: Step.objects.filter(run=run, direction="backward").delete(),
            "status of step a (backward): the events say succeeded, there is no row",
        ),
        (
            lambda run: Row.objects.filter(run=run, step="b", new="failed").update(new="lost"),
            "the log is not a legal one: b (forward) went in_flight → lost: no legal move",
        ),
    ],
)
def test_a_row_or_event_that_somebody_changed_is_found(
    run_id: UUID, tamper: Callable[[UUID], object], told: str
) -> None:
    assert differences() == []
    with tampering():
        tamper(run_id)
    assert told in differences()


def test_a_run_whose_events_are_gone_is_found(run_id: UUID) -> None:
    with tampering():
        Row.objects.filter(run=run_id).delete()
    assert differences()[:2] == [
        "status of the run: the events say nothing, its row says compensated",
        "epoch of the run: the events say 0, its row says 2",
    ]


def test_only_the_runs_that_are_asked_for_are_looked_at(known: Known, actor: Actor) -> None:
    one, two = (known(flow(actor.steps("a"), name)) for name in ("one", "two"))
    old, new, other = begun(one), begun(one), begun(two)
    Run.objects.filter(pk=old).update(created_at=timezone.now() - timedelta(days=2))

    def looked_at(**options: object) -> set[UUID]:
        return {verdict.run_id for verdict in verify(**options)}  # type: ignore[arg-type]

    assert looked_at() == {old, new, other}
    assert looked_at(saga="one") == {old, new}
    assert looked_at(since=timezone.now() - timedelta(days=1)) == {new, other}
    assert looked_at(ids=[old, other, UUID(int=1)]) == {old, other}
    assert looked_at(ids=[old, other], saga="two") == {other}
    assert looked_at(ids=[]) == set()


def test_runs_are_read_in_batches_each_once(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    ids = [begun(saga) for _ in range(7)]
    with counted() as statements:
        found = [verdict.run_id for verdict in verify(batch=3)]
    assert found == sorted(ids)
    assert len(statements) == 5  # 3, 3, 1, none, and events without a run


def test_nothing_is_read_ahead_of_the_batch_at_hand(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(4):
        begun(saga)
    with counted() as statements:
        next(verify(batch=2))
    assert len(statements) == 1


@pytest.mark.django_db(transaction=True)
def test_runs_that_move_meanwhile_are_no_difference(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("abc")))

    done = Event()

    def load() -> None:
        try:
            for _ in range(30):
                carried(begun(saga), "a")
        finally:
            done.set()

    def look() -> list[Verdict]:
        found: list[Verdict] = []
        while not done.is_set():
            found += verify(batch=5)
        return [*found, *verify()]

    failed, found = at_once(lambda: elsewhere(load), lambda: elsewhere(look))
    assert failed is None
    assert len({verdict.run_id for verdict in found}) == 30
    assert [verdict for verdict in found if verdict.differences] == []


def test_a_batch_reads_its_runs_by_their_primary_key(known: Known, actor: Actor) -> None:
    saga = known(flow(actor.steps("a")))
    for _ in range(3):
        begun(saga)
    db.execute("ANALYZE sagas_run, sagas_step, sagas_event")
    db.execute("SET LOCAL enable_seqscan = off")
    db.execute("SET LOCAL enable_sort = off")  # of three rows it would cost nothing
    with counted() as statements:
        list(verify(batch=2))
    sql = statements[0]
    for place, value in (("$1", f"'{UUID(int=0)}'::uuid"), ("$2", "2")):
        sql = sql.replace(place, value)
    plan = "\n".join(line for (line,) in db.execute(f"EXPLAIN {sql}"))
    assert "sagas_run_pkey" in plan
    assert "sagas_event_of_run" in plan
    assert "Seq Scan" not in plan
    assert "Sort Key: run.id" not in plan


CHANGES = {
    "payload": "UPDATE sagas_run SET payload = payload || '{\"number\": 8}' WHERE id = %s",
    "key": "UPDATE sagas_run SET business_key = business_key || '1' WHERE id = %s",
    "saga": "UPDATE sagas_run SET saga = 'other' WHERE id = %s",
    "amended": "UPDATE sagas_run SET amended = '{\"number\": 9}' WHERE id = %s",
    "result": "UPDATE sagas_step SET result = '{\"z\": 2}' WHERE run_id = %s AND name = 'a'",
    "no result": "UPDATE sagas_step SET result = NULL WHERE run_id = %s AND name = 'a'",
    "a result of none": "UPDATE sagas_step SET result = '1' WHERE run_id = %s AND name = 'b'",
}
TOLD = {
    "payload": "saga, key or payload of the run: it is not what the events have the digest of",
    "amended": "changed payload of the run: the events know of no change",
    "result": "result of step a (forward): it is not what the events have the digest of",
    "a result of none": "result of step b (forward): it is not what the events have the digest of",
} | dict.fromkeys(
    ("key", "saga"), "saga, key or payload of the run: it is not what the events have the digest of"
)
TOLD["no result"] = TOLD["result"]


@pytest.fixture
def gave(known: Known, actor: Actor) -> UUID:
    """A run of which one step gave something, and one nothing."""
    saga = known(flow(actor.steps("ab")))
    actor.answers = {"do a": {"z": 1.50, "ä": [1e5, None, "\u2028"]}}
    found = begun(saga)
    carried(found, "a", "b")
    assert Run.objects.get(pk=found).status == "succeeded"
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_a_document_that_somebody_changed_is_found(gave: UUID, change: str) -> None:
    assert [(v.differences, v.unchecked) for v in verify()] == [([], 0)]
    db.execute(CHANGES[change], [gave])
    assert differences() == [TOLD[change]]


def test_a_payload_that_an_operator_changed_is_known_and_one_changed_since_is_found(
    known: Known, actor: Actor
) -> None:
    found = stopped_past_the_pivot(known, actor)
    retry(found, "b", payload={"number": 7}, **WHY)
    assert [(v.differences, v.unchecked) for v in verify()] == [([], 0)]
    db.execute(CHANGES["amended"], [found])
    told = "changed payload of the run: it is not what the events have the digest of"
    assert differences() == [told]
    db.execute("UPDATE sagas_run SET amended = NULL")
    assert differences() == [told]


def test_what_was_recorded_without_digests_or_under_a_lost_key_is_counted_and_no_difference(
    gave: UUID, settings: Settings
) -> None:
    known = settings.SECRET_KEY
    settings.SECRET_KEY = "another" * 10
    assert [(v.differences, v.unchecked) for v in verify()] == [([], 3)]
    settings.SECRET_KEY_FALLBACKS = [known]
    assert [(v.differences, v.unchecked) for v in verify()] == [([], 0)]
    with tampering():
        db.execute("UPDATE sagas_event SET data = data - 'digest'")
    assert [(v.differences, v.unchecked) for v in verify()] == [([], 3)]


def test_a_digest_tells_nobody_without_the_key_what_was_hashed(gave: UUID) -> None:
    """Equal results of two runs have digests that differ, and none is the hash of the text."""
    saga = Run.objects.get(pk=gave).saga
    other = begun(registry.get(saga), key="other")
    carried(other, "a", "b")
    digests = Row.objects.filter(step="b", new="succeeded").values_list("data", flat=True)
    one, two = (data["digest"].partition(":")[2] for data in digests)
    plain = b64encode(sha256(b"null").digest()[:16]).decode()
    assert len({one, two, plain}) == 3


def test_events_whose_run_is_gone_are_found(gave: UUID) -> None:
    with tampering():
        db.execute("DELETE FROM sagas_step")
        db.execute("DELETE FROM sagas_run")
    count = Row.objects.count()
    assert differences() == [f"the run is gone, and {count} of its events are not"]
    assert differences(ids=[gave]) == []

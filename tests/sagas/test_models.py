"""The record in the database: what its constraints refuse, and which indexes its queries use."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from sagas import db, record, transitions
from sagas.models import Event, Run, Signal, Step, uuid7
from sagas.run import mailbox, start
from sagas.states import RunStatus, StepStatus

pytestmark = pytest.mark.django_db
_NOW = timezone.now()


def a_run(**values: Any) -> Run:
    given = {
        "saga": "flow",
        "version": 1,
        "fingerprint": "f",
        "business_key": str(uuid7()),
        "payload": {},
        "status": RunStatus.RUNNING,
    }
    return Run.objects.create(**{**given, **values})


def a_step(run: Run | None = None, **values: Any) -> Step:
    given = {"name": "a", "direction": "forward", "position": 0, "status": StepStatus.READY}
    return Step.objects.create(run=run or a_run(), **{**given, **values})


# --- constraints ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "lost"}, "sagas_run_sound"),
        ({"status": ""}, "sagas_run_sound"),
        ({"status": "succeeded"}, "sagas_run_sound"),
        ({"status": "compensated"}, "sagas_run_sound"),
        ({"status": "resolved"}, "sagas_run_sound"),
        ({"status": "running", "finished_at": _NOW}, "sagas_run_sound"),
        ({"status": "needs_attention"}, "sagas_run_sound"),
    ],
)
def test_the_database_refuses_a_bad_run(values: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        a_run(**values)


@pytest.mark.parametrize(
    "values",
    [
        *({"status": s} for s in ("pending", "running", "compensating")),
        *({"status": s, "finished_at": _NOW} for s in ("succeeded", "compensated", "resolved")),
        {"status": "needs_attention", "attention": "why"},
    ],
)
def test_it_accepts_a_good_one(values: dict[str, Any]) -> None:
    a_run(**values)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "lost"}, "sagas_step_sound"),
        ({"status": "in_flight", "attempt": 1}, "sagas_step_sound"),
        ({"status": "in_flight", "limit_at": _NOW}, "sagas_step_sound"),
        ({"status": "succeeded", "limit_at": _NOW}, "sagas_step_sound"),
    ],
)
def test_the_database_refuses_a_bad_step(values: dict[str, Any], constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        a_step(**values)


def test_a_key_is_used_once_per_saga() -> None:
    a_run(business_key="k")
    a_run(business_key="k", saga="other")
    with pytest.raises(IntegrityError, match="sagas_run_once"), transaction.atomic():
        a_run(business_key="k")


def test_a_step_stands_once_in_each_direction() -> None:
    run = a_run()
    a_step(run)
    a_step(run, direction="backward")
    with pytest.raises(IntegrityError, match="sagas_step_once_per_direction"), transaction.atomic():
        a_step(run)


def test_a_signal_id_is_used_once() -> None:
    given = {"name": "paid", "correlation": "k"}
    for _ in range(2):
        Signal.objects.create(**given)
    Signal.objects.create(**given, deduplication_id="e")
    with pytest.raises(IntegrityError, match="sagas_signal_once"), transaction.atomic():
        Signal.objects.create(**given, deduplication_id="e")


@pytest.mark.parametrize("old", ["succeeded", "compensated", "resolved"])
@pytest.mark.parametrize("new", [status.value for status in RunStatus])
def test_a_terminal_run_stays_where_it_is(old: str, new: str) -> None:
    run = a_run(status=old, finished_at=_NOW)
    leave = Run.objects.filter(pk=run.pk)
    if old == new:
        assert leave.update(status=new) == 1
        return
    with pytest.raises(IntegrityError, match=f"is {old}, which is final"), transaction.atomic():
        leave.update(status=new, finished_at=None, attention="why")


# --- ids and words -------------------------------------------------------------------------


def test_ids_are_version_7_and_grow_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for milliseconds in (1, 2, 3, 1_900_000_000_000):
        monkeypatch.setattr(time, "time_ns", lambda now=milliseconds: now * 1_000_000)
        ids.append(uuid7())
    assert ids == sorted(ids)
    assert [found.int >> 80 for found in ids] == [1, 2, 3, 1_900_000_000_000]
    assert {(found.version, found.variant) for found in ids} == {
        (7, "specified in RFC 4122"),
    }


def test_ids_of_one_moment_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    assert len({uuid7() for _ in range(1000)}) == 1000


def test_ids_of_one_millisecond_are_in_the_order_of_their_making(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = iter(range(7_000_000, 8_000_000, 1_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    ids = [uuid7() for _ in range(1000)]
    assert ids == sorted(ids)
    assert {made.int >> 80 for made in ids} == {7}
    assert {made.version for made in ids} == {7}


def test_everything_has_a_name() -> None:
    run = a_run(business_key="order:1")
    step = a_step(run)
    event = Event(step="a", old="ready", new="in_flight")
    signal = Signal(name="paid", correlation="k")
    assert [str(item) for item in (run, step, event, Event(), signal)] == [
        "flow order:1",
        "a (forward)",
        "a: ready → in_flight",
        "run: · → ·",
        "paid for k",
    ]


def test_events_outlive_nothing_and_hold_nothing_up() -> None:
    """No foreign key in the database: it would cost a lock for each event."""
    Event.objects.create(run_id=uuid7(), epoch=1)


# --- query plans ---------------------------------------------------------------------------

_FILL = """
WITH runs AS (
  INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
    revision, halt, attention, wake_at, created_at, finished_at)
  SELECT gen_random_uuid(), 'flow', 1, 'f', 'key:' || n, '{}',
    CASE WHEN n % 100 = 0 THEN 'running' ELSE 'succeeded' END, 1, 0, '', '',
    CASE WHEN n % 100 = 0 THEN now() + interval '1 hour' END, now(),
    CASE WHEN n % 100 = 0 THEN NULL ELSE now() END
  FROM generate_series(1, 4000) n RETURNING id, status),
steps AS (
  INSERT INTO sagas_step (run_id, name, direction, position, status, attempt, tries, probes, losses,
    in_doubt, generation, worker, signal, correlation, error)
  SELECT id, 's' || p, 'forward', p,
    CASE WHEN runs.status = 'running' THEN 'waiting' ELSE 'succeeded' END, 1, 1, 0, 0, false, 1, '',
    CASE WHEN runs.status = 'running' THEN 'paid' ELSE '' END, id::text, ''
  FROM runs, generate_series(0, 3) p),
events AS (
  INSERT INTO sagas_event (run_id, at, step, direction, old, new, attempt, epoch, worker, data)
  SELECT id, now(), 's' || p, 'forward', 'ready', 'in_flight', 1, 1, '', '{}'
  FROM runs, generate_series(0, 3) p)
INSERT INTO sagas_signal (name, correlation, payload, received_at, taken_at)
SELECT 'paid', id::text, '{}', now(), CASE WHEN runs.status = 'running' THEN NULL ELSE now() END
FROM runs"""
_TABLES = ("sagas_run", "sagas_step", "sagas_event", "sagas_signal")


@pytest.fixture
def filled() -> Run:
    """4,000 runs with 16,000 steps and as many events; one in a hundred is not over."""
    with connection.cursor() as cursor:
        cursor.execute(_FILL)
        for table in _TABLES:
            cursor.execute(f"ANALYZE {table}")
    return Run.objects.filter(status="running").earliest("id")


def plan_of(sql: str, params: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}", params)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_a_claim_reads_its_own_run_alone_however_few_are_thought_to_wait(filled: Run) -> None:
    """Statistics of a quiet hour must not choose another index, which holds thousands in a rush."""
    params = {"id": filled.pk, "saga": "flow", "version": 1, "fingerprint": "f", "step": "s0"}
    params |= {"worker": "w", "pid": 1, "limit": 1.0, "lease": 1.0}
    plan = plan_of(transitions._TAKE_FIRST, params)
    scan = re.search(r"Scan using \S+ on sagas_run\b.*\n\s+Index Cond: (.*)", plan)
    assert scan is not None, plan
    assert f"(id = '{filled.pk}'::uuid)" in scan[1], plan


def test_queries_use_indexes_however_long_the_history(filled: Run) -> None:
    sweeping = {"batch": 5, "resend": 30, "settled": 60, "but": ["flow/1/"]}
    sweeps = [sweeping | {"begin": begin} for begin in (None, timezone.now())]
    handed = {"step": 1, "name": "paid", "correlation": str(filled.pk), "run": "x", "saga": ""}
    handed["signal_seconds"] = 9
    key = {"payload": "{}", "saga": "flow", "key": "key:7"}
    plans = [
        ("sagas_step_once_per_direction", plan_of(record._READ, {"id": filled.pk})),
        *(("sagas_run_wake", plan_of(transitions._WAKE, params)) for params in sweeps),
        ("sagas_step_waiting", plan_of(mailbox._WAITING, ["paid", str(filled.pk)])),
        ("sagas_signal_untaken", plan_of(mailbox._HAND, handed)),
        ("sagas_step_(waiting|once_per_direction)", plan_of(mailbox._MISSED, handed)),
        ("sagas_run_(once|key_prefix)", plan_of(start._EXISTING, key)),
        ("sagas_run_pkey", plan_of("SELECT * FROM sagas_run WHERE id = %s", [filled.pk])),
        ("sagas_run_notable", plan_of("SELECT * FROM sagas_run WHERE status = 'running'", [])),
        ("sagas_event_of_run", plan_of("SELECT * FROM sagas_event WHERE run_id = %s", [filled.pk])),
    ]
    for index, plan in plans:
        assert re.search(rf"{index}\b.*\n\s+Index Cond", plan), plan
        assert not re.search(rf"Seq Scan on ({'|'.join(_TABLES)})\b", plan), (
            plan
        )  # others are empty
    sizes = dict(db.execute(_SIZES, [["sagas_run_wake", "sagas_step_waiting", "sagas_step_pkey"]]))
    assert sizes["sagas_step_pkey"] >= 16_000
    assert (sizes["sagas_run_wake"], sizes["sagas_step_waiting"]) == (40, 160)  # not over


_SIZES = "SELECT relname, reltuples::bigint FROM pg_class WHERE relname = ANY(%s)"

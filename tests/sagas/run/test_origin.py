from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction

from sagas import db
from sagas.api import Run, StartRefused, Wait, astart, get_run, start
from sagas.define.step import Step
from sagas.models import Run as RunRow
from sagas.models import uuid7
from sagas.run.origin import OriginKind, starting
from sagas.run.recover import nudge
from sagas.testing.post import Post
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.stage import Known, at_once, lapse, run_of
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def limits(settings: Any) -> Callable[..., None]:
    def limit(**given: int) -> None:
        settings.SAGAS = {**settings.SAGAS, **given}

    return limit


def starter(to: str, **options: Any) -> Step:
    """A step that starts a run of a saga, with the key that follows its own."""

    def begin(run: Run[Payload]) -> None:
        start(to, Payload(), key=f"{run.business_key}.")

    return Step(f"start-{to}", begin, harmless=True, **options)


def waiting(seconds: float) -> Step:
    """A step that waits once."""
    return Step("wait", lambda run: Wait(seconds) if run.attempt == 1 else None, harmless=True)


def everything(post: Post) -> None:
    """Deliver messages until there are none."""
    while post.deliver():
        pass


def inside(run_id: UUID) -> Any:
    """As in a step of that run."""
    return starting(OriginKind.RUN, str(run_id))


# --- what started a run --------------------------------------------------------------------


def test_a_run_that_code_started_has_no_origin(known: Known, post: Post) -> None:
    made = run_of(start(known(flow(["a"])), Payload(), key="k").id)
    assert (made.origin_kind, made.origin_id, made.root, made.depth) == ("", "", None, 0)


def test_a_step_is_the_origin_of_what_it_starts(known: Known, post: Post) -> None:
    known(flow([starter("b")], name="a"))
    known(flow([starter("c")], name="b"))
    known(flow(["last"], name="c"))
    first = start("a", Payload(), key="k").id
    everything(post)
    second, third = (get_run(saga=name, key=key) for name, key in (("b", "k."), ("c", "k..")))
    assert (second.origin_kind, second.origin_id) == ("run", str(first))
    assert (second.root, second.depth) == (first, 1)
    assert (third.origin_id, third.root, third.depth) == (str(second.id), first, 2)


@pytest.mark.parametrize("atomic", [False, True])
def test_a_hook_that_a_step_registers_starts_as_the_step_does(
    known: Known, post: Post, atomic: bool
) -> None:
    def hook(run: Run[Payload]) -> None:
        with transaction.atomic():
            transaction.on_commit(lambda: start("b", Payload(), key="of the hook"))

    known(flow([Step("hook", hook, harmless=True, atomic=atomic)], name="a"))
    known(flow(["last"], name="b"))
    first = start("a", Payload(), key="k").id
    everything(post)
    assert get_run(saga="b", key="of the hook").origin_id == str(first)


def test_a_compensation_is_an_origin_too(known: Known, post: Post) -> None:
    undone = Step("undone", lambda run: None)

    @undone.compensate
    def undo(run: Run[Payload]) -> None:
        start("b", Payload(), key="of the compensation")

    known(flow([undone, simple("refuses")], name="a"))
    known(flow(["last"], name="b"))
    first = start("a", Payload(refuse="refuses"), key="k").id
    everything(post)
    assert get_run(saga="b", key="of the compensation").origin_id == str(first)


def test_what_runs_after_a_step_in_its_process_is_not_taken_for_it(
    known: Known, post: Post
) -> None:
    known(flow(["a"]))
    start("flow", Payload(), key="k")
    everything(post)
    assert run_of(start("flow", Payload(), key="next").id).origin_kind == ""


def test_async_code_keeps_the_origin(known: Known, post: Post) -> None:
    known(flow(["a"]))

    async def view() -> UUID:
        try:
            with starting(OriginKind.REQUEST, "ann"):
                return (await astart("flow", Payload(), key="k")).id
        finally:
            await sync_to_async(lambda: connection.close())()

    made = run_of(asyncio.run(view()))
    assert (made.origin_kind, made.origin_id) == ("request", "ann")


# --- the length of a chain -----------------------------------------------------------------


def test_a_saga_that_starts_itself_without_end_stops_and_its_run_names_the_chain(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_DEPTH=5)
    known(flow([starter("b")], name="a"))
    known(flow([starter("a")], name="b"))
    start("a", Payload(), key="k")
    for _ in range(20):
        everything(post)
        for made in RunRow.objects.exclude(status__in=("succeeded", "needs_attention")):
            lapse(made.id)
            nudge(made.id)
    assert RunRow.objects.count() == 6
    (last,) = RunRow.objects.exclude(status="succeeded")
    assert (last.saga, last.depth, last.status) == ("b", 5, "compensated")  # it had nothing to undo
    assert "StartRefused: Saga 'a' was not started: 6 runs" in get_run(last.id).steps[0].error
    assert "a → b → a → … → a → b → a" in get_run(last.id).steps[0].error
    assert "SAGAS['MAX_DEPTH']" in get_run(last.id).steps[0].error


def test_a_chain_may_be_as_long_as_the_setting_says_and_no_longer(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_DEPTH=2)
    known(flow(["a"]))
    run_id = start("flow", Payload(), key="0").id
    for depth in (1, 2):
        with inside(run_id):
            run_id = start("flow", Payload(), key=str(depth)).id
        assert run_of(run_id).depth == depth
    with inside(run_id), pytest.raises(StartRefused, match=r"flow → flow → flow → flow\."):
        start("flow", Payload(), key="3")
    with inside(run_id):  # a step that is repeated: it has been started already
        assert not start("flow", Payload(), key="2").created
    assert RunRow.objects.count() == 3


def test_without_depth_no_step_may_start_a_run(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_DEPTH=0)
    known(flow(["a"]))
    with inside(start("flow", Payload(), key="0").id), pytest.raises(StartRefused):
        start("flow", Payload(), key="1")


def test_a_run_that_has_waited_for_a_minute_begins_a_chain_anew(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_DEPTH=1)
    known(flow([waiting(86_400), starter("daily")], name="daily"))
    start("daily", Payload(), key="k")
    for number in range(4):
        everything(post)
        made = RunRow.objects.latest("id")
        assert (made.business_key, made.depth, made.root) == ("k" + "." * number, 0, None)
        assert made.origin_kind == ("run" if number else "")
        _pass_time(made.id, minutes=2)
        lapse(made.id)
        nudge(made.id)


def test_a_run_that_has_waited_for_a_second_does_not(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_DEPTH=1)
    known(flow([waiting(1), starter("often")], name="often"))
    start("often", Payload(), key="k")
    for _ in range(4):
        everything(post)
        made = RunRow.objects.latest("id")
        lapse(made.id)
        nudge(made.id)
    assert RunRow.objects.count() == 2


def _pass_time(run_id: UUID, *, minutes: int) -> None:
    """Let what has happened to a run lie further back."""
    with connection.cursor() as cursor:  # events are written once; only a superuser can do this
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE sagas_event SET at = at - %s * interval '1 minute' WHERE run_id = %s",
            [minutes, run_id],
        )
        cursor.execute("SET session_replication_role = origin")


# --- how many a minute ---------------------------------------------------------------------


def test_a_chain_starts_no_more_runs_in_a_minute_than_the_setting_says(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_STARTS_PER_MINUTE=3)
    known(flow(["a"]))
    root = start("flow", Payload(), key="root").id
    with inside(root):
        child = start("flow", Payload(), key="child").id
    with inside(child):
        start("flow", Payload(), key="grandchild")
        start("flow", Payload(), key="another")
    for run_id in (root, child):
        with inside(run_id), pytest.raises(StartRefused, match=r"3 runs in a minute.*MAX_STARTS"):
            start("flow", Payload(), key="too many")
    start("flow", Payload(), key="of nobody")
    with inside(start("flow", Payload(), key="other").id):
        start("flow", Payload(), key="of another chain")
    RunRow.objects.filter(root=root).update(created_at=_AN_HOUR_AGO)
    with inside(root):
        assert start("flow", Payload(), key="an hour later").created


_AN_HOUR_AGO = "2026-01-01T00:00:00Z"


def test_no_transaction_starts_more_than_so_many_however_many_start_side_by_side(
    known: Known, post: Post, limits: Callable[..., None]
) -> None:
    limits(MAX_STARTS_PER_MINUTE=5)
    known(flow(["a"]))
    root = start("flow", Payload(), key="root").id
    sides = 4
    started = Barrier(sides)

    def children(side: int) -> None:
        with inside(root), transaction.atomic():
            for number in range(2):
                start("flow", Payload(), key=f"{side}.{number}")
            started.wait(20)  # nobody has committed, and nobody sees the others'
            for number in range(2, 10):
                start("flow", Payload(), key=f"{side}.{number}")

    def committed(side: int) -> None:
        with inside(root):
            for number in range(10):
                start("flow", Payload(), key=f"{side}:{number}")

    refused = at_once(*(lambda side=side: children(side) for side in range(sides)))
    assert {type(error) for error in refused} == {StartRefused}
    assert RunRow.objects.count() == 1  # each was rolled back as a whole
    refused = at_once(*(lambda side=side: committed(side) for side in range(sides)))
    assert {type(error) for error in refused} == {StartRefused}
    assert 5 <= RunRow.objects.filter(root=root).count() <= 5 + sides - 1


# --- what it costs -------------------------------------------------------------------------


def test_a_start_costs_one_statement_more_inside_a_step_and_none_elsewhere(
    known: Known, post: Post
) -> None:
    saga = known(flow(["a"]))
    with inside(start(saga, Payload(), key="0").id), counted() as by_a_step:
        start(saga, Payload(), key="1")
    with starting(OriginKind.REQUEST, "ann"), counted() as by_a_request:
        start(saga, Payload(), key="2")
    with counted() as by_code:
        start(saga, Payload(), key="3")
    assert (len(by_code), len(by_a_request), len(by_a_step)) == (1, 1, 2)


def test_the_runs_of_a_chain_are_counted_by_an_index(known: Known) -> None:
    root = uuid7()
    db.execute(_MANY, {"root": root})
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE sagas_run")
        cursor.execute(
            "EXPLAIN SELECT 1 FROM sagas_run WHERE root = %s AND created_at > now() - interval "
            "'1 minute' LIMIT 1000",
            [root],
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "sagas_run_of_root" in plan


_MANY = """
INSERT INTO sagas_run (id, saga, version, fingerprint, business_key, payload, status, epoch,
  revision, halt, attention, created_at, finished_at, root)
SELECT gen_random_uuid(), 'flow', 1, 'f', 'key:' || n, '{}', 'succeeded', 1, 0, '', '',
  now() - n * interval '1 second', now(),
  CASE WHEN n %% 50 = 0 THEN %(root)s::uuid WHEN n %% 2 = 0 THEN gen_random_uuid() END
FROM generate_series(1, 5000) n"""

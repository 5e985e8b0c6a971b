from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydantic import BaseModel, ValidationError

from bench import history
from sagas.api import Run, SagaError, UnknownRun, get_run, start, step
from sagas.define import registry
from sagas.models import Run as RunRow
from sagas.models import uuid7
from sagas.operate.moments import least_id
from sagas.operate.reading import RunQuery, page_of_runs
from sagas.states import Direction, RunStatus, StepStatus
from tests.sagas.driven import driven
from tests.sagas.flows import Payload, flow
from tests.sagas.stage import Known
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


class Receipt(BaseModel):
    number: int


@step(name="pay")
def pay(run: Run[Payload]) -> Receipt:
    return Receipt(number=run.payload.number)


@pay.compensate
def pay_back(run: Run[Payload]) -> None:
    return None


def listed(after: Any = None, limit: int = 50, **query: Any) -> list[str]:
    runs, _ = page_of_runs(RunQuery(**query), RunRow.objects.all(), after=after, limit=limit)
    return [run.business_key for run in runs]


def run(key: str, **values: Any) -> RunRow:
    given = {"saga": "flow", "version": 1, "payload": {}, "status": "running", **values}
    return RunRow.objects.create(**{"id": uuid7(), **given}, business_key=key)


def test_a_run_is_read_by_its_id_or_by_its_saga_and_key(known: Known) -> None:
    saga = known(flow([pay, "ship"]))
    run_id = driven(saga, Payload(number=7), key="order:7")
    found = get_run(run_id)
    assert (found.id, found.saga, found.version, found.key) == (run_id, "flow", 1, "order:7")
    assert (found.status, found.over) == (RunStatus.SUCCEEDED, True)
    assert found.finished_at is not None
    assert found.created_at <= found.finished_at
    assert found == get_run(saga=saga, key="order:7") == get_run(saga="flow", key="order:7")


def test_results_are_plain_data_by_step_and_need_no_code(known: Known) -> None:
    with registry.isolated():
        run_id = driven(known(flow([pay, "ship"])), Payload(number=7))
    assert get_run(run_id).results == {"pay": {"number": 7}, "ship": None}


def test_only_done_steps_have_a_result(known: Known) -> None:
    run_id = start(known(flow([pay, "ship"])), Payload(), key="k").id
    found = get_run(run_id)
    assert (found.results, found.over) == ({}, False)
    assert [(s.name, s.status) for s in found.steps] == [
        ("pay", StepStatus.READY),
        ("ship", StepStatus.PENDING),
    ]


def test_a_run_that_turned_back_tells_why_and_what_was_undone(known: Known) -> None:
    saga = known(flow([pay, "ship"]))
    found = get_run(driven(saga, Payload(refuse="ship")))
    assert found.status is RunStatus.COMPENSATED
    undone = [s.name for s in found.steps if s.direction is Direction.BACKWARD]
    assert undone == ["pay"]
    assert "told to" in next(s.error for s in found.steps if s.name == "ship")


def test_a_run_that_needs_attention_tells_why(known: Known) -> None:
    run_id = start(known(flow(["a"])), Payload(), key="k").id
    RunRow.objects.filter(pk=run_id).update(status="needs_attention", attention="pay: unknown")
    assert get_run(run_id).attention == "pay: unknown"


def test_the_history_is_told_from_the_start(known: Known) -> None:
    found = get_run(driven(known(flow(["a"])), Payload()))
    moves = [(event.step, event.old, event.new) for event in found.history()]
    assert moves[0] == ("", "", "pending")
    assert ("a", "in_flight", "succeeded") in moves
    assert moves[-1] == ("", "running", "succeeded")


def test_what_is_read_cannot_be_changed(known: Known) -> None:
    found = get_run(start(known(flow(["a"])), Payload(), key="k").id)
    with pytest.raises(FrozenInstanceError):
        found.status = RunStatus.SUCCEEDED  # type: ignore[misc]


def test_a_run_that_is_not_there_is_unknown() -> None:
    with pytest.raises(UnknownRun, match="No run has the id"):
        get_run(uuid7())
    with pytest.raises(UnknownRun, match="No run of saga 'flow' has the key 'order:8'"):
        get_run(saga="flow", key="order:8")


@pytest.mark.parametrize("which", [{}, {"saga": "flow"}, {"key": "k"}])
def test_half_of_what_names_a_run_is_refused_with_the_cure(which: dict[str, Any]) -> None:
    with pytest.raises(SagaError, match=r"get_run\(saga=\.\.\., key=\.\.\.\)"):
        get_run(**which)


def test_a_run_is_read_in_one_statement_without_its_payload(known: Known) -> None:
    run_id = start(known(flow(["a", "b"])), Payload(), key="k").id
    with counted() as statements:
        assert get_run(run_id).results == {}
    assert len(statements) == 1
    assert '"payload"' not in statements[0]


# --- pages of runs -------------------------------------------------------------------------


def test_runs_are_listed_by_each_filter_the_newest_first() -> None:
    run("a", tags=["vip"])
    run("b", saga="other", status="needs_attention", attention="why")
    run("c", status="succeeded", finished_at=timezone.now())
    assert listed() == ["c", "b", "a"]
    assert listed(saga="flow") == ["c", "a"]
    assert listed(key="b") == ["b"]
    assert listed(status=["needs_attention", "succeeded"]) == ["c", "b"]
    assert listed(tag="vip") == ["a"]
    assert listed(saga="flow", status=["running"], tag="vip") == ["a"]


def test_runs_are_listed_by_when_they_were_created_or_finished() -> None:
    now = timezone.now()
    for days in (1, 2, 3):
        at = now - timedelta(days=days)
        made = run(str(days), id=uuid_at(at), status="succeeded", finished_at=at)
        RunRow.objects.filter(pk=made.pk).update(created_at=at)
    day = timedelta(days=1)
    assert listed(created_from=now - 2.5 * day) == ["1", "2"]
    assert listed(created_to=now - 1.5 * day) == ["2", "3"]
    assert listed(finished_from=now - 2.5 * day) == ["1", "2"]
    assert listed(finished_to=now - 1.5 * day) == ["2", "3"]
    assert listed(finished_from=now - 2.5 * day, finished_to=now - 1.5 * day) == ["2"]
    assert listed(finished_from=now - 2.5 * day, created_to=now - 1.5 * day) == ["2"]
    run("unfinished")
    assert "unfinished" not in listed(finished_from=now - 9 * day)


@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_a_moment_before_or_after_all_runs_is_a_bound_as_any_other(hours: int) -> None:
    zone = timezone.get_fixed_timezone(timedelta(hours=hours))
    run("a", status="succeeded", finished_at=timezone.now())
    first, last = datetime(1, 1, 1, tzinfo=zone), datetime(9999, 12, 31, 23, 59, tzinfo=zone)
    for what in ("created", "finished"):
        since, until = f"{what}_from", f"{what}_to"
        found: list[dict[str, Any]] = [{since: first, until: last}, {until: first}, {since: last}]
        assert [listed(**query) for query in found] == [["a"], [], []]


def ended(key: str, ago: int) -> RunRow:
    at = timezone.now() - timedelta(seconds=ago)
    return run(key, status="succeeded", finished_at=at)


def test_runs_by_when_they_were_over_begin_with_the_last_that_ended() -> None:
    ended("old, just over", 1)
    ended("new, long over", 60)
    since = timezone.now() - timedelta(hours=1)
    assert listed(finished_from=since) == ["old, just over", "new, long over"]
    assert listed(created_from=since) == ["new, long over", "old, just over"]


def pages(query: RunQuery, meanwhile: Callable[[int], object]) -> list[str]:
    """All pages of three, with something that happens between one and the next."""
    seen: list[str] = []
    after = None
    while True:
        runs, after = page_of_runs(query, RunRow.objects.all(), after=after, limit=3)
        seen += [found.business_key for found in runs]
        if after is None:
            return seen
        meanwhile(len(seen))


def test_pages_by_when_runs_were_over_follow_each_other_while_runs_end() -> None:
    """Also where several ended in the same moment, in another order than they were created."""
    slow = [run(f"slow {number}") for number in range(3)]
    moment = timezone.now() - timedelta(minutes=1)
    for number in (0, 1, 1, 1, 1, 0, 2):
        at = moment - timedelta(seconds=number)
        run(f"{number}, {RunRow.objects.count()}", status="succeeded", finished_at=at)
    keys = ["0, 8", "0, 3", "1, 7", "1, 6", "1, 5", "1, 4", "2, 9"]

    def end_one(seen: int) -> None:
        RunRow.objects.filter(pk=slow.pop().pk).update(
            status="succeeded", finished_at=timezone.now()
        )

    assert pages(RunQuery(finished_from=moment - timedelta(hours=1)), end_one) == keys


def test_a_page_after_a_run_that_is_gone_is_refused_rather_than_empty() -> None:
    query = RunQuery(finished_from=timezone.now() - timedelta(hours=1))
    with pytest.raises(UnknownRun, match="begin with the first page"):
        page_of_runs(query, RunRow.objects.all(), after=uuid7(), limit=3)


def test_pages_follow_each_other_while_runs_arrive() -> None:
    for number in range(7):
        run(str(number))
    seen = pages(RunQuery(), lambda seen: run(f"new {seen}"))
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


def test_a_last_page_that_is_full_has_no_next() -> None:
    for number in range(3):
        run(str(number))
    assert page_of_runs(RunQuery(), RunRow.objects.all(), after=None, limit=3)[1] is None


@pytest.mark.parametrize(
    "query",
    [
        {"created_from": "2026-01-01T00:00:00"},  # no time zone
        {"created_to": "yesterday"},
        {"created_to": 1_780_000_000},
        {"status": ["done"]},
        {"saga": "a\0b"},
        {"colour": "red"},
    ],
)
def test_a_filter_that_means_nothing_is_refused(query: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunQuery(**query)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "Index Scan Backward using sagas_run_pkey"),
        ({"saga": "refund"}, "Index Scan Backward using sagas_run_pkey"),
        ({"saga": "nobody"}, "sagas_run_once"),
        ({"key": "order:17"}, "sagas_run_(once|key_prefix)"),
        ({"saga": "refund", "key": "order:17"}, "sagas_run_(once|key_prefix)"),
        ({"status": ["needs_attention"]}, "sagas_run_notable"),
        ({"status": ["pending", "running", "compensating"]}, "sagas_run_notable"),
        ({"tag": "launch"}, "sagas_run_tags"),
        ({"created_from": timedelta(hours=2)}, "sagas_run_pkey"),
        ({"created_to": timedelta(days=29)}, "sagas_run_pkey"),
        ({"finished_from": timedelta(hours=1)}, "sagas_run_finished"),
        ({"finished_from": timedelta(29)}, "Index Scan Backward using sagas_run_finished"),
        ({"finished_to": timedelta(1)}, "Index Scan Backward using sagas_run_finished"),
        ({"saga": "refund", "finished_from": timedelta(hours=1)}, "sagas_run_finished"),
    ],
)
def test_each_filter_is_served_by_an_index_however_long_the_history(
    stored: None, query: dict[str, Any], index: str
) -> None:
    moments = {k: timezone.now() - v for k, v in query.items() if isinstance(v, timedelta)}
    with CaptureQueriesContext(connection) as statements:
        page_of_runs(RunQuery(**query | moments), RunRow.objects.all(), after=None, limit=50)
    plan = plan_of(statements[0]["sql"])
    assert re.search(index, plan), plan
    assert "Seq Scan on sagas_run" not in plan, plan


@pytest.fixture
def stored() -> None:
    history.store(5_000, vacuum=False)


def uuid_at(moment: datetime) -> UUID:
    """An id that was drawn at that moment."""
    return UUID(int=least_id(moment).int | 1)


def plan_of(sql: str) -> str:
    """The plan on a solid-state disk: by the default, of a spinning one, some are near a tie."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())

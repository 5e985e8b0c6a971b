"""What runs wait for, and in which words it is said: in lists, on pages, in the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

import sagas
from sagas.define import registry
from sagas.models import Hold, Run, Step, Worker
from sagas.operate.expected import Around, Expected, Next, expected, expected_of
from sagas.operate.reason import sentence, state_reason
from sagas.run.workers import Workers
from tests.sagas.flows import flow, simple
from tests.sagas.operate.rows import a_run, a_step, ago
from tests.sagas.statements import counted

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
SAGA = flow([simple("charge", partner="stripe", timeout=10), simple("ship", queue="slow"), "mail"])
SOON, LONG_AGO = NOW + timedelta(minutes=3), NOW - timedelta(minutes=5)


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        registry.register(SAGA)
        yield


def step(status: str, name: str = "charge", **values: Any) -> Step:
    return Step(**{"name": name, "direction": "forward", "status": status, **values})


def hold(kind: str, target: str, **values: Any) -> Hold:
    return Hold(**{"kind": kind, "target": target, "placed_at": LONG_AGO, "reason": "r", **values})


def why(
    *steps: Step, holds: tuple[Hold, ...] = (), workers: Workers | None = None, **run: Any
) -> str:
    row = Run(**{"saga": "flow", "version": 1, "status": "running", **run})
    at = Around(NOW, holds, workers or Workers())
    return state_reason(expected(row, steps, at, SAGA), NOW)


def test_a_run_says_which_signal_it_waits_for_and_until_when() -> None:
    waits = step("waiting", signal="paid", correlation="o:1", due_at=SOON)
    assert why(waits) == "waits for signal paid until 12:03:00 UTC"
    assert why(step("waiting", signal="paid")) == "waits for signal paid"


def test_a_run_says_when_it_tries_again_and_which_of_how_many_tries_that_is() -> None:
    again = step("ready", tries=2, due_at=SOON)
    assert why(again) == "tries again at 12:03:00 UTC (attempt 3 of 5)"
    back = step("ready", tries=2, due_at=SOON, direction="backward")
    assert why(back, status="compensating") == "tries again at 12:03:00 UTC (attempt 3 of 20)"
    gone = step("ready", "gone", tries=2, due_at=NOW + timedelta(days=2))
    assert why(gone) == "tries again at 2026-01-04 12:00:00 UTC (attempt 3)"


def test_what_is_due_waits_for_a_free_worker() -> None:
    due = NOW - timedelta(seconds=5)
    assert why(step("ready", due_at=due)) == "waits for a free worker since 11:59:55 UTC"
    assert why(step("ready", tries=1, due_at=due)) == (
        "waits for a free worker since 11:59:55 UTC (attempt 2 of 5)"
    )
    assert why(step("unknown", due_at=due)) == (
        "may have happened; waits for a free worker since 11:59:55 UTC"
    )


def test_what_is_in_flight_says_who_carries_it_out_since_when() -> None:
    # Its time limit is 10 seconds.
    flies: dict[str, Any] = {
        "worker": "w1",
        "limit_at": NOW + timedelta(seconds=8),
    }
    assert why(step("in_flight", attempt=1, **flies)) == (
        "is being carried out by worker w1 since 11:59:58 UTC"
    )
    assert why(step("in_flight", attempt=3, **flies)) == (
        "is being carried out by worker w1 since 11:59:58 UTC (attempt 3)"
    )
    first = step("in_flight", "gone", attempt=1, worker="w1", started_at=LONG_AGO)
    assert why(first) == "is being carried out by worker w1 since 11:55:00 UTC"


def test_a_partner_that_was_not_asked_is_named() -> None:
    turned_away = step("waiting", error="its circuit breaker is open", due_at=SOON)
    assert why(turned_away) == "waits for partner stripe, which is asked again at 12:03:00 UTC"


@pytest.mark.parametrize(
    "stands",
    [
        step("ready", due_at=LONG_AGO),
        step("ready", tries=1, due_at=SOON),
        step("unknown", due_at=LONG_AGO),
        step("waiting", error="open", due_at=SOON),
        step("waiting", due_at=SOON),
    ],
)
def test_what_a_hold_stops_is_held_whatever_else_it_waits_for(stands: Step) -> None:
    for kind, target in (("partner", "stripe"), ("saga", "flow"), ("queue", "celery")):
        there = hold(kind, target)
        expected_words = f"{kind} {target} is held since 11:55:00 UTC"
        if kind != "queue":
            assert why(stands, holds=(there,)) == expected_words
    ending = hold("partner", "stripe", ends_at=SOON)
    assert why(stands, holds=(ending,)) == "partner stripe is held until 12:03:00 UTC"
    assert "held" not in why(stands, holds=(hold("partner", "post"),))


def test_the_run_that_a_hold_lets_through_is_not_held() -> None:
    row = Run(saga="flow", version=1, status="running")
    open_to_it = hold("partner", "stripe", probe=row.pk)
    at = Around(NOW, [open_to_it])
    found = expected(row, [step("ready", due_at=SOON)], at, SAGA)
    assert [one.what for one in found] == [Next.TRY]


def test_a_paused_run_is_paused_also_while_it_waits_or_a_worker_is_at_it() -> None:
    row = Run(saga="flow", version=1, status="running")
    at = Around(NOW, [hold("run", str(row.pk))])
    for stands in (step("waiting", signal="paid"), step("in_flight", worker="w", attempt=1)):
        told = state_reason(expected(row, [stands], at, SAGA), NOW)
        assert told == "is paused since 11:55:00 UTC (and 1 more)"


def test_that_no_worker_knows_the_saga_is_a_reason_of_its_own() -> None:
    nobody = Workers(frozenset({"slow"}), frozenset({"other/1/x"}))
    told = (
        "is due since 11:55:00 UTC: no living worker knows version 1 of 'flow' as this run pins it"
    )
    assert why(step("ready", due_at=LONG_AGO), workers=nobody) == told
    assert why(step("in_flight", worker="w"), wake_at=LONG_AGO, workers=nobody).startswith(told)
    just_now = step("ready", due_at=NOW - timedelta(seconds=9))
    assert "worker knows" not in why(just_now, workers=nobody)
    gone = Workers(None, frozenset(), alive=False)
    assert why(step("ready", due_at=LONG_AGO), workers=gone) == (
        "is due since 11:55:00 UTC: no worker is alive"
    )


def test_that_no_worker_reads_the_queue_is_one_too() -> None:
    elsewhere = Workers(frozenset({"fast"}), None)
    assert why(step("ready", "ship", due_at=LONG_AGO), workers=elsewhere) == (
        "is due since 11:55:00 UTC: no living worker reads the queue 'slow'"
    )


def test_of_several_things_the_most_telling_is_said_with_its_step() -> None:
    flies, waits = step("in_flight", worker="w"), step("waiting", "ship", signal="paid")
    assert why(flies, waits) == "ship waits for signal paid (and 1 more)"


def test_a_reason_names_the_step_where_several_wait_and_reads_as_a_sentence() -> None:
    there = hold("partner", "stripe")
    flies, held = step("in_flight", "mail", worker="w"), step("ready", due_at=SOON)
    assert why(flies, held, holds=(there,)) == (
        "charge: partner stripe is held since 11:55:00 UTC (and 1 more)"
    )


@pytest.mark.parametrize(
    ("one", "told"),
    [
        (Expected(Next.PERSON, since=LONG_AGO), "The run waits for an operator since 11:55."),
        (Expected(Next.TRY, "a", "backward"), "undo of a waits for a worker."),
        (
            Expected(Next.SIGNAL, "a", signal="paid", correlation="o:1", at=SOON),
            "a waits for signal paid until 12:03 (for o:1).",
        ),
        (
            Expected(Next.PARTNER, "a", at=SOON, partner="stripe", because="open"),
            "a waits for partner stripe, which is asked again at 12:03 (open).",
        ),
        (Expected(Next.NOBODY, because="No worker is alive."), "The run: no worker is alive."),
        (
            Expected(Next.NOBODY, "a", at=LONG_AGO, because="No worker is alive."),
            "a is due since 11:55: no worker is alive.",
        ),
        (
            Expected(Next.HOLD, "a", hold=hold("run", "x")),
            "The run is paused since 11:55.",
        ),
        (
            Expected(Next.HOLD, "a", hold=hold("queue", "q")),
            "a: queue q is held since 11:55.",
        ),
    ],
)
def test_all_that_is_known_of_a_wait_is_told_in_one_sentence(one: Expected, told: str) -> None:
    assert sentence(one, NOW, lambda at: f"{at:%H:%M}") == told


def test_a_run_that_is_over_or_between_steps_waits_for_nothing() -> None:
    assert why(step("ready"), status="succeeded", finished_at=NOW) == ""
    assert why() == ""


def test_a_run_that_needs_attention_waits_for_an_operator() -> None:
    assert why(step("failed"), status="needs_attention") == "waits for an operator"


# --- from the database ---------------------------------------------------------------------


@pytest.mark.django_db
def test_a_page_of_runs_costs_as_many_statements_however_many_there_are() -> None:
    def seen(most: int) -> tuple[int, list[str]]:
        runs = list(Run.objects.order_by("id")[:most])
        with counted() as statements:
            found = expected_of(runs, ago())
        return len(statements), [found[run.pk][0].what for run in runs]

    for number in range(30):
        run = a_run(f"k{number}", wake_at=ago(minutes=2))
        a_step(run, name="charge", due_at=ago(minutes=2))
        Hold.objects.create(kind="run", target=str(a_run(f"h{number}").pk), reason="r")
    a_worker("charge")
    assert seen(1)[0] == seen(60)[0] == 3
    assert {"nobody"} <= set(seen(60)[1])


@pytest.mark.django_db
def test_the_list_the_page_and_the_api_say_the_same(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ann"))
    run = a_run("held", wake_at=ago(minutes=2))
    a_step(run, name="charge", due_at=ago(minutes=2))
    placed = Hold.objects.create(kind="partner", target="stripe", reason="r", placed_by="ann")
    told = "partner stripe is held since "
    pages = (
        "/admin/sagas/run/",
        f"/admin/sagas/run/{run.pk}/change/",
        "/api/runs",
        f"/api/runs/{run.pk}",
    )
    for page in pages:
        assert told in client.get(page).content.decode(), page
    for page in pages[:2]:
        assert "held</span>" in client.get(page).content.decode(), page
    placed.delete()
    for page in pages:
        shown = client.get(page).content.decode()
        assert told not in shown
        assert "since" in shown


def a_worker(queue: str) -> None:
    Worker.objects.create(
        name="w", host="h", pid=1, lease_until=ago(minutes=-5), queues=[queue], sagas=[]
    )


def test_nobody_else_words_what_a_run_waits_for() -> None:
    engine = Path(sagas.__file__).parent
    wording = {path.name for path in engine.rglob("*.py") if "case Next." in path.read_text()}
    assert wording == {"reason.py"}

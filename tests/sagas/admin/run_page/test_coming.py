from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils.html import strip_tags

from sagas.admin.run_page.coming import coming
from sagas.admin.run_page.facts import Facts
from sagas.define.saga import Definition
from sagas.models import Approval, Hold, Run, Step
from tests.sagas.flows import flow, pivot, simple

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def told(
    *steps: Step,
    holds: tuple[Hold, ...] = (),
    passes: tuple[Hold, ...] = (),
    code: Definition | None = None,
    **run: Any,
) -> list[str]:
    row = Run(**{"saga": "flow", "version": 1, "status": "running", "created_at": NOW, **run})
    facts = Facts(row, steps, NOW, code, "", holds, 0, reveal=False, passes=passes)
    return [strip_tags(sentence) for sentence in coming(facts)]


def step(status: str, **values: Any) -> Step:
    return Step(**{"name": "charge", "direction": "forward", "status": status, **values})


def test_what_waits_for_a_second_person_is_told_first() -> None:
    asked = Approval(
        pk=3, verb="cancel", arguments={}, asked_by="ann", asked_at=NOW, reason="<b>called off"
    )
    row = Run(saga="flow", version=1, status="running", created_at=NOW)
    facts = Facts(row, [step("ready")], NOW, None, "", (), 0, reveal=False, asked=[asked])
    first, second = coming(facts)
    assert 'href="/admin/sagas/approval/3/change/"' in first
    assert strip_tags(first) == (
        "Asked for: cancel, by ann since 2026-01-02 03:04:05 UTC: &lt;b&gt;called off. "
        "A second person must consent."
    )
    assert strip_tags(second) == "charge waits for a worker."


def test_a_run_that_is_over_waits_for_nothing() -> None:
    assert told(status="succeeded", finished_at=NOW) == [
        "Nothing more happens: the run has succeeded."
    ]


def test_a_run_that_needs_a_person_waits_for_one() -> None:
    assert told(step("failed"), status="needs_attention", attention="x") == [
        "The run waits for an operator."
    ]


def test_every_kind_of_waiting_is_told_with_its_time() -> None:
    at = "2026-01-02 03:09:05 UTC"
    assert told(step("ready")) == ["charge waits for a worker."]
    assert told(step("ready", tries=1, due_at=after(300))) == [
        f"charge tries again at {at} (in 5 min) (attempt 2)."
    ]
    assert told(step("unknown", due_at=after(300))) == [
        f"charge may have happened: that is found out at {at} (in 5 min)."
    ]
    assert told(step("waiting", due_at=after(300))) == [f"charge waits until {at} (in 5 min)."]
    assert told(step("waiting", error="Open: <b>bank", due_at=after(300))) == [
        f"charge waits for its partner, which is asked again at {at} (in 5 min) "
        "(Open: &lt;b&gt;bank)."
    ]
    saga = flow([simple("charge", partner="bank")])
    assert told(step("waiting", error="open", due_at=after(300)), code=saga)[0] == (
        f"charge waits for partner bank, which is asked again at {at} (in 5 min) (open)."
    )
    assert told(step("waiting", signal="paid", correlation="o1", due_at=after(300))) == [
        f"charge waits for signal paid until {at} (in 5 min) (for o1)."
    ]
    assert told(step("in_flight", worker="w1", attempt=2, limit_at=after(300))) == [
        f"charge is being carried out by worker w1 (attempt 2). Its time is up at {at} (in 5 min)."
    ]


def test_the_way_back_is_told_as_undoing() -> None:
    back = {"direction": "backward"}
    assert told(step("ready", **back), status="compensating") == [
        "undo of charge waits for a worker."
    ]
    assert told(step("ready", tries=1, due_at=after(60), **back), status="compensating") == [
        "undo of charge tries again at 2026-01-02 03:05:05 UTC (in 1 min) (attempt 2)."
    ]


def test_what_is_long_due_raises_the_question_where_the_workers_are() -> None:
    assert told(step("ready", due_at=after(-600))) == [
        "charge waits for a free worker since 2026-01-02 02:54:05 UTC (10 min ago)."
    ]


def test_a_hold_is_told_first_with_its_reason_and_explains_why_nothing_is_taken() -> None:
    hold = Hold(kind="queue", target="payments", placed_by="ann", placed_at=NOW, reason="<b>bank")
    assert told(step("ready", due_at=after(-600)), holds=(hold,)) == [
        "Held: queue payments, by ann since 2026-01-02 03:04:05 UTC: &lt;b&gt;bank",
        "charge waits for a free worker since 2026-01-02 02:54:05 UTC (10 min ago).",
    ]


def test_a_hold_that_ends_by_itself_says_when() -> None:
    values: dict[str, Any] = {"kind": "partner", "target": "bank", "source": "quota"}
    hold = Hold(**values, placed_at=NOW, ends_at=after(3600), reason="spent")
    assert told(step("ready"), holds=(hold,))[0] == (
        "Held: partner bank, by quota (automatic) since 2026-01-02 03:04:05 UTC "
        "until 2026-01-02 04:04:05 UTC: spent"
    )


@pytest.mark.parametrize("status", ["ready", "unknown", "waiting"])
def test_a_step_that_is_held_is_not_said_to_go_on_by_itself(status: str) -> None:
    code = flow([simple("charge", partner="bank")])
    hold = Hold(kind="partner", target="bank", placed_by="ann", placed_at=NOW, reason="down")
    charge = step(status, due_at=after(-600), error="NotAsked")
    assert told(charge, holds=(hold,), code=code)[1:] == [
        "charge: partner bank is held since 2026-01-02 03:04:05 UTC (less than a minute ago)."
    ]
    other = Hold(kind="partner", target="post", placed_by="ann", placed_at=NOW, reason="down")
    assert "is held" not in told(charge, holds=(other,), code=code)[1]


def test_so_is_one_of_an_automatism_and_one_that_lets_the_run_through() -> None:
    values: dict[str, Any] = {"kind": "partner", "target": "bank", "source": "circuit-breaker"}
    hold = Hold(**values, placed_at=NOW, probed_at=NOW, reason="open")
    assert told(step("ready"), holds=(hold,))[0] == (
        "Held: partner bank, by circuit-breaker (automatic) since 2026-01-02 03:04:05 UTC: open"
    )
    assert told(step("ready"), passes=(hold,)) == [
        "Let through: the hold on partner bank, by circuit-breaker (automatic), does not stop this "
        "run since 2026-01-02 03:04:05 UTC: it finds out whether the partner is back.",
        "charge waits for a worker.",
    ]


@pytest.mark.parametrize(
    ("halt", "why"),
    [
        ("failed", "a step gave up"),
        ("cancelled", "it was cancelled"),
        ("deadline", "its deadline has passed"),
    ],
)
def test_a_run_about_to_turn_back_says_why(halt: str, why: str) -> None:
    assert told(step("in_flight", worker="w"), halt=halt)[-1] == (
        f"It turns back as soon as nothing is in flight, because {why}."
    )


def test_a_deadline_counts_only_before_the_pivot() -> None:
    saga = flow(["a", pivot(simple("charge", harmless=True)), simple("z", harmless=True)])
    due: dict[str, Any] = {"deadline_at": after(60), "code": saga}
    running = [sentence for sentence in told(step("ready"), **due) if "turns back" in sentence]
    assert running == ["It turns back unless it is done by 2026-01-02 03:05:05 UTC (in 1 min)."]
    past = [step("succeeded"), step("ready", name="z")]
    assert not any("turns back" in sentence for sentence in told(*past, **due))


def test_of_many_branches_some_are_told() -> None:
    sentences = told(*(step("ready", name=f"s{number}") for number in range(30)))
    assert len(sentences) == 21
    assert sentences[-1] == "And 10 more steps side by side."


def test_what_strangers_wrote_is_escaped() -> None:
    row = Run(saga="flow", version=1, status="running", created_at=NOW)
    wait = step("waiting", signal="<script>", correlation="<img>\u202e")
    facts = Facts(row, [wait], NOW, None, "", (), 0, reveal=False)
    [sentence] = coming(facts)
    assert "<script>" not in sentence
    assert "<img>" not in sentence
    assert "\u202e" not in sentence


def test_between_steps_a_worker_looks_at_it() -> None:
    assert told(wake_at=after(30)) == [
        "A worker looks at it at 2026-01-02 03:04:35 UTC (in less than a minute)."
    ]

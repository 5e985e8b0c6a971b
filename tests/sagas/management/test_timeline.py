from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models.functions import Now

from sagas.api import (
    NotApplied,
    Refused,
    RetryLater,
    Run,
    Unknown,
    UnknownRun,
    cancel,
    hold,
    step,
    wait_for,
)
from sagas.define import registry
from sagas.define.outcome import NotAsked
from sagas.define.saga import Node
from sagas.management.text import WIDTH
from sagas.management.timeline import as_data, timeline
from sagas.models import Event, Step
from sagas.models import Run as Row
from sagas.operate.asker import Shell
from tests.sagas.driven import carry_on, driven
from tests.sagas.flows import Payload, flow, simple
from tests.sagas.stage import tampering
from tests.sagas.statements import counted

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def isolated() -> Iterator[None]:
    with registry.isolated():
        yield


def run_of(*steps: Node | str, refuse: str = "") -> UUID:
    saga = flow(steps)
    registry.register(saga)
    return driven(saga, Payload(refuse=refuse))


def told(run_id: UUID) -> list[str]:
    """The timeline's lines of events, without their times."""
    lines = timeline(run_id).split("\n\n")[1].splitlines()
    return [" ".join(re.sub(r"^ *\+\S+ s", "", line).split()) for line in lines]


def test_a_run_that_turned_back_is_told_from_start_to_end() -> None:
    run_id = run_of("reserve", "charge", refuse="charge")
    assert told(run_id) == [
        "run accepted",
        "→ reserve ready",
        "run running",
        "→ reserve #1 being done",
        "→ reserve #1 succeeded",
        "→ charge #1 being done",
        "→ charge #1 failed: told to",
        "run will turn back: failed",
        "run compensating: failed",
        "← reserve #1 being undone",
        "← reserve #1 undone",
        "run compensated",
    ]
    text = timeline(run_id)
    assert "undone because: Told to at charge; 1 step undone" in text.splitlines()
    assert as_data(run_id)["undone"] == "Told to at charge; 1 step undone"
    assert text.splitlines()[0] == "flow version 1, key order:1"
    assert re.match(rf"run {run_id}, compensated in \S+ m?s, accepted ", text.splitlines()[1])
    assert text.endswith("Nothing more happens: the run is compensated.")


def test_times_are_told_since_the_start() -> None:
    run_id = run_of("a")
    started = Row.objects.get(id=run_id).created_at
    for event, since in zip(Event.objects.all(), (0.25, 59, 61, 90_061, 0), strict=False):
        with tampering():
            Event.objects.filter(id=event.id).update(at=started + timedelta(seconds=since))
    lines = timeline(run_id).split("\n\n")[1].splitlines()
    offsets = [re.match(r" *(\+.*?)(?:  | → )", line) for line in lines[:4]]
    assert [o.group(1) for o in offsets if o] == [
        "+0.250 s",
        "+59.000 s",
        "+0:01:01",
        "+1 day, 1:01:01",
    ]


def test_waiting_for_a_partner_that_was_not_asked_is_told_with_its_reason() -> None:
    answers: list[Any] = [NotAsked("open"), Unknown("reset"), NotAsked("open"), NotAsked("open")]

    @step(partner="bank")
    def charge(run: Run[Payload]) -> Any:
        return answers.pop(0)

    charge.compensate(lambda run: None)
    run_id = run_of(charge)
    assert re.search(
        r"Next: charge waits for partner bank, which is asked again at \S+ \S+ UTC \(open\)\.",
        " ".join(timeline(run_id).split()),
    )
    for _ in range(2):
        Step.objects.filter(run=run_id).update(due_at=Now())
        carry_on(run_id)
    assert [line for line in told(run_id) if "waits for" in line] == [
        "→ charge #1 waits for the partner bank: open",
        "→ charge #3 still unknown, waits for the partner bank: open",
    ]
    found = as_data(run_id)["next"][0]
    assert (found["what"], found["because"]) == ("find out", "")


def test_retries_doubts_and_verifies_are_told_with_their_reasons() -> None:
    answers: list[Any] = [RetryLater("busy \x1b[31m"), Unknown("no answer"), None]

    @step
    def charge(run: Run[Payload]) -> Any:
        return answers.pop(0)

    charge.compensate(lambda run: None)
    charge.verify(lambda run: NotApplied())
    run_id = run_of(charge)
    for _ in range(3):
        Step.objects.filter(run=run_id).update(due_at=Now())
        carry_on(run_id)
    assert [line for line in told(run_id) if "charge" in line] == [
        "→ charge ready",
        "→ charge #1 being done",
        "→ charge #1 will be tried again: busy •••[•••",
        "→ charge #2 being done",
        "→ charge #2 unknown: no answer",
        "→ charge #3 asking whether it happened",
        "→ charge #3 it did not happen, ready again",
        "→ charge #4 being done",
        "→ charge #4 succeeded",
    ]


_LOST = {"new": "in_flight", "data": {"took_over": True}}
_ASKED = {"step": "", "direction": "", "old": "", "new": "mark"}
_MARKED = {"by": "ann", "why": "statement 7", "of": "b", "happened": True}
_LATE = {"data": {"late_answer": "Done"}}
_MORE = {"new": "failed", "data": {"reason": "no", "by": "ada"}}
_VAIN = {"step": "", "old": "cancelled", "data": {"ignored": "it was too late"}}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (_LOST, "being done, the worker before was lost"),
        (_LATE, "answered too late, ignored: Done"),
        (_MORE, "failed: no (by: ada)"),
        (_ASKED | {"data": _MARKED}, "ann asked to mark b as happened: statement 7"),
        (_VAIN, "run cancelled ignored: it was too late"),
    ],
)
def test_what_happens_rarely_is_told_too(event: dict[str, Any], words: str) -> None:
    run_id = run_of("a")
    Event.objects.create(
        **{"run_id": run_id, "epoch": 1, "step": "a", "direction": "forward", **event}
    )
    assert told(run_id)[-1].endswith(words)


def test_what_happens_next_is_told_for_everything_that_is_waited_for() -> None:
    @step
    def busy(run: Run[Payload]) -> RetryLater:
        return RetryLater("busy", 3600)

    busy.compensate(lambda run: None)
    run_id = run_of(wait_for("approved", timeout=timedelta(days=1)))
    assert re.search(
        r"Next: approved waits for signal approved until \d{4}-\S+ \S+ UTC \(for order:1\)\.",
        " ".join(timeline(run_id).split()),
    )
    registry.register(other := flow([busy], name="other"))
    assert "Next: busy tries again at 2" in timeline(driven(other, Payload()))


def test_a_run_that_needs_a_person_says_why() -> None:
    stuck = step(name="stuck")(lambda run: None)
    stuck.compensate(lambda run: Refused("gone"))
    text = timeline(run_of(stuck, "b", refuse="b"))
    assert "needs attention: 'undo of stuck' gave up: gone." in text
    (next_,) = re.findall(r"Next: .*", text, re.DOTALL)
    assert re.fullmatch(
        r"Next: The run waits for an operator since [-0-9]+ [:0-9]+ UTC\. It stopped because: "
        r"'undo of stuck' gave up: gone\.",
        " ".join(next_.split()),
    )


def test_a_cancelled_run_says_so() -> None:
    run_id = run_of(wait_for("approved", timeout=timedelta(days=1)))
    cancel(run_id)
    assert told(run_id)[-2:] == ["run compensating: cancelled", "run compensated"]


def test_the_timeline_stays_on_the_page() -> None:
    long = simple("x" * 80)
    run_id = run_of(long, refuse="x" * 80)
    Event.objects.create(run_id=run_id, epoch=1, new="needs_attention", old="running",
                         data={"reason": "because " * 60})  # fmt: skip
    assert max(map(len, timeline(run_id).splitlines())) <= WIDTH


def test_a_run_costs_two_statements() -> None:
    run_id = run_of("a", "b", "c")
    with counted() as statements:
        timeline(run_id)
    assert len(statements) == 2


def test_what_holds_a_run_is_told_before_what_happens_next() -> None:
    run_id = run_of(wait_for("paid", timeout=timedelta(days=3)), "b")
    hold("saga", "flow", by=Shell(), reason="the bank is down")
    lines = timeline(run_id).splitlines()
    (told,) = (
        number for number, line in enumerate(lines) if line.startswith("Held: saga flow, by")
    )
    assert "the bank is down" in " ".join(lines[told : told + 2])
    assert any(line.startswith("Next: ") for line in lines[told:])


def test_the_data_say_the_same() -> None:
    run_id = run_of("a")
    data = json.loads(json.dumps(as_data(run_id), cls=DjangoJSONEncoder))
    assert (data["id"], data["status"], data["next"]) == (str(run_id), "succeeded", [])
    assert [event["new"] for event in data["events"]] == [
        *("pending", "ready", "running", "in_flight", "succeeded", "succeeded"),
    ]
    assert "payload" not in data


def test_an_unknown_run_is_refused() -> None:
    for tell in (timeline, as_data):
        with pytest.raises(UnknownRun):
            tell(UUID(int=0))

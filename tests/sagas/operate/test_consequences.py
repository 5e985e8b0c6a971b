"""What is said of an action before it is taken; that it comes true, ``test_outlook`` shows."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from sagas import record
from sagas.api import wait_for
from sagas.define import registry
from sagas.define.outcome import Refused, Unknown
from sagas.models import AuditEntry, Event
from sagas.operate.catalogue import verb_of
from sagas.operate.consequences import consequences
from sagas.operate.verb import foresee
from tests.sagas.flows import flow, pivot, simple
from tests.sagas.stage import Actor, Known, begun, carried, run_of, status

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def told(run_id: UUID, verb: str, **arguments: object) -> list[str]:
    before = (run_of(run_id).revision, Event.objects.count(), AuditEntry.objects.count())
    said = consequences(foresee(verb_of(verb, arguments), record.read(run_id)))
    assert (run_of(run_id).revision, Event.objects.count(), AuditEntry.objects.count()) == before
    return said


@pytest.fixture
def actor() -> Actor:
    return Actor()


def test_a_cancel_tells_what_is_undone_in_order_and_what_is_not(known: Known) -> None:
    wait = wait_for("paid", timeout=timedelta(days=1))
    run_id = begun(known(flow(["a", simple("look", harmless=True), "b", wait])))
    carried(run_id, "a", "look", "b", "paid")
    assert told(run_id, "cancel") == [
        "The run then is compensating.",
        "1. Undone: b by compensation.",
        "2. Undone: a by compensation.",
        "Not undone: look, because: harmless: there is nothing to undo.",
    ]


def test_of_a_restart_the_steps_are_told_whose_effects_happen_again(
    known: Known, actor: Actor
) -> None:
    actor.answers["do c"] = Refused("no")
    run_id = begun(known(flow([pivot(actor.step("p")), *actor.steps("bc")])))
    carried(run_id, "p")
    carried(run_id, "b")
    carried(run_id, "c")
    assert status(run_id) == "needs_attention"
    assert told(run_id, "restart", step="b", again=True) == [
        "The run then is running.",
        "Done once more, with effects that happen again: b.",
        "Nothing is undone.",
    ]


def test_of_another_version_the_steps_are_told_that_differ(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no")
    steps = [pivot(actor.step("p")), actor.step("b")]
    run_id = begun(known(flow(steps)))
    carried(run_id, "p")
    registry.register(flow([*steps, "c"], version=2))
    said = told(run_id, "migrate", to=2)
    assert "Steps that it has from then on: c." in said
    assert "Nothing is undone." in said


def test_to_resolve_leaves_all_as_it_is(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Refused("no")
    run_id = begun(known(flow([pivot(actor.step("p")), actor.step("b")])))
    carried(run_id, "p")
    assert told(run_id, "resolve") == [
        "The run then is resolved.",
        "Nothing is undone.",
        "Stays: p, because: it is the point of no return.",
    ]


def test_what_still_stops_the_run_is_told(known: Known, actor: Actor) -> None:
    actor.answers["do b"] = Unknown("reset")
    run_id = begun(known(flow([actor.step("a"), actor.step("b", idempotent=False)])))
    carried(run_id, "a")
    said = told(run_id, "assign", owner="")
    assert said[0] == "The run then needs attention."
    assert any(line.startswith("It stops again at once: Nobody can tell") for line in said)

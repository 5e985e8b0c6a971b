from __future__ import annotations

import pytest

from sagas.define.outcome import Refused
from sagas.models import Batch, Run
from sagas.operate import batch_outlook as module
from sagas.operate.batch_outlook import batch_outlook
from sagas.operate.bulk import draft
from sagas.operate.instruction import instruction
from sagas.operate.resolve import resolve
from tests.sagas.flows import flow, pivot
from tests.sagas.operate.batches import operator, saga_of, stopped
from tests.sagas.operate.parked import WHY
from tests.sagas.stage import Actor, Known, begun, carried

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("post")]


def tried(verb: str, **arguments: object) -> Batch:
    given = instruction(verb, arguments)
    return draft(Run.objects.all(), given, by=operator(), reason="r", rate=200)


def test_what_stays_is_told_of_all_runs_together(known: Known) -> None:
    stopped(saga_of(known, Actor()), 3)
    assert batch_outlook(tried("resolve")) == [
        "Undone: nothing.",
        "Not undone, although it happened or may have: p in 3 runs.",
    ]


def test_effects_that_happen_again_are_told(known: Known) -> None:
    actor = Actor()
    actor.answers["do c"] = Refused("no")
    saga = known(flow([pivot(actor.step("p")), *actor.steps("bc")]))
    run_id = begun(saga)
    carried(run_id, "p", "b", "c")
    told = batch_outlook(tried("restart", step="b", again=True))
    assert told[-1] == "Done once more, with effects that happen again: b in 1 run."


def test_of_many_runs_some_are_looked_at_and_that_is_said(
    known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKED_AT", 2)
    stopped(saga_of(known, Actor()), 3)
    assert batch_outlook(tried("resolve"))[0] == "Of the first 2 runs:"


def test_a_run_that_has_moved_meanwhile_is_left_out(known: Known) -> None:
    ids = stopped(saga_of(known, Actor()), 2)
    made = tried("resolve")
    resolve(ids[0], **WHY)
    assert "p in 1 run." in batch_outlook(made)[1]
    resolve(ids[1], **WHY)
    assert batch_outlook(made) == []


def test_of_a_verb_that_decides_nothing_for_good_nothing_is_told(known: Known) -> None:
    stopped(saga_of(known, Actor()), 1)
    assert batch_outlook(tried("assign", owner="")) == []

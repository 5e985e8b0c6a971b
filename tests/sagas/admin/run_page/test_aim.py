"""The page of a run opens at the step that matters."""

from __future__ import annotations

import pytest

from sagas.admin.run_page.aim import aim
from sagas.admin.run_page.graph import graph
from sagas.define import intervene, plan
from sagas.define.outcome import Refused
from sagas.define.saga import Definition
from sagas.define.view import RunView
from tests.sagas.define.test_preview import (
    BACKWARD,
    FORWARD,
    WORKER,
    claimed,
    done,
    new,
    parked,
)
from tests.sagas.flows import flow, pivot, simple

NAMES = [f"s{number:03}" for number in range(122)]


@pytest.fixture
def saga() -> Definition:
    return flow(NAMES)


def compensating(saga: Definition) -> RunView:
    view = done(saga, new(saga), *NAMES[:80])
    plan.settle(saga, view, claimed(saga, view, "s080"), Refused("no"), WORKER)
    return view


def test_a_run_opens_at_the_step_whose_turn_it_is(saga: Definition) -> None:
    view = done(saga, new(saga), *NAMES[:80])
    assert aim(saga, view) == (FORWARD, "s080")
    assert graph(saga, view).aim == (FORWARD, "s080")


def test_one_that_is_being_undone_opens_at_what_is_undone_next(saga: Definition) -> None:
    view = done(saga, compensating(saga), "s079", way=BACKWARD)
    assert aim(saga, view) == (BACKWARD, "s078")


def test_one_that_stopped_opens_at_what_blocks_it(saga: Definition) -> None:
    view = compensating(saga)
    plan.settle(saga, view, claimed(saga, view, "s079", BACKWARD), Refused("no"), WORKER)
    assert aim(saga, view) == (BACKWARD, "s079")


def test_one_that_was_undone_opens_at_the_step_that_failed(saga: Definition) -> None:
    view = done(saga, compensating(saga), *reversed(NAMES[:80]), way=BACKWARD)
    assert view.over
    assert aim(saga, view) == (FORWARD, "s080")


def test_one_that_succeeded_opens_at_its_beginning() -> None:
    saga = flow(["a"])
    assert aim(saga, done(saga, new(saga), "a")) is None


def test_one_whose_code_is_gone_opens_at_what_stopped_it_too() -> None:
    saga = flow([pivot(simple("p")), "b"])
    view = done(saga, new(saga), "p")
    plan.settle(saga, view, claimed(saga, view, "b"), Refused("no"), WORKER)
    assert aim(None, view) == (FORWARD, "b")
    intervene.resolve(parked(view) if not view.attention else view)
    assert aim(None, view) == (FORWARD, "b")

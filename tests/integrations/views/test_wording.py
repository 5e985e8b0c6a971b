from __future__ import annotations

from dataclasses import astuple

import pytest

from integrations.views import leads, orders, registrations
from integrations.views.progress import Wording
from sagas.api import Saga
from sagas.states import RunStatus

each_wording = pytest.mark.parametrize(
    ("saga", "wording"),
    [(pages.saga, pages.wording) for pages in (orders.PAGES, registrations.PAGES, leads.PAGES)],
    ids=["order", "registration", "lead"],
)


@each_wording
def test_every_step_and_every_status_has_words(saga: Saga, wording: Wording) -> None:
    assert wording.steps.keys() | wording.unseen == set(saga.steps)
    assert not wording.steps.keys() & wording.unseen
    assert set(wording.summaries) == set(RunStatus)
    assert all(astuple(wording.form))


@each_wording
def test_every_step_that_can_be_undone_has_words_for_it(saga: Saga, wording: Wording) -> None:
    undoable = {step.name for step in saga.steps.values() if step.compensation}
    assert {name for name, phrases in wording.steps.items() if phrases.undoing} == undoable
    assert {name for name, phrases in wording.steps.items() if phrases.undone} == undoable


@each_wording
def test_just_the_steps_that_a_run_may_leave_out_are_left_out(saga: Saga, wording: Wording) -> None:
    seen = {name: step for name, step in saga.steps.items() if name not in wording.unseen}
    conditional = {name for name, step in seen.items() if step.when is not None}
    assert {name for name, phrases in wording.steps.items() if phrases.conditional} == conditional

from __future__ import annotations

import pytest

from integrations.sagas.customer_registration import customer_registration
from integrations.sagas.order_fulfilment import order_fulfilment
from integrations.views.progress import Wording
from integrations.views.wording import ORDER, REGISTRATION
from sagas.api import Saga
from sagas.states import RunStatus

each_wording = pytest.mark.parametrize(
    ("saga", "wording"),
    [(order_fulfilment, ORDER), (customer_registration, REGISTRATION)],
    ids=["order", "registration"],
)


@each_wording
def test_every_step_and_every_status_has_words(saga: Saga, wording: Wording) -> None:
    assert wording.steps.keys() | wording.unseen == set(saga.steps)
    assert not wording.steps.keys() & wording.unseen
    assert set(wording.summaries) == set(RunStatus)


@each_wording
def test_every_step_that_can_be_undone_has_words_for_it(saga: Saga, wording: Wording) -> None:
    undoable = {step.name for step in saga.steps.values() if step.compensation}
    assert {name for name, phrases in wording.steps.items() if phrases.undoing} == undoable
    assert {name for name, phrases in wording.steps.items() if phrases.undone} == undoable

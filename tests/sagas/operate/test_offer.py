"""What an operator is offered is what would be accepted."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest

from sagas import record
from sagas.errors import SagaError
from sagas.operate.catalogue import VERBS, verb_of
from sagas.operate.offer import Offer, offers
from sagas.operate.pause import pause
from sagas.operate.verb import act
from sagas.testing.post import Post
from tests.sagas.flows import flow
from tests.sagas.operate.parked import (
    WHY,
    stopped_in_doubt,
    stopped_past_the_pivot,
    stopped_undoing,
)
from tests.sagas.stage import Actor, Known, begun

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _private(post: Post, known: Known) -> None:
    """Every test has a post office and a registry of its own."""


def offered(run_id: UUID) -> dict[str, str]:
    return {f"{o.verb.name} {o.step}".strip(): o.refusal for o in offers(record.read(run_id))}


def fitting(run_id: UUID) -> set[str]:
    return {name for name, refusal in offered(run_id).items() if not refusal}


def test_of_a_run_past_its_pivot_all_is_offered_but_to_undo_it(known: Known, actor: Actor) -> None:
    run_id = stopped_past_the_pivot(known, actor)
    assert fitting(run_id) == {"retry b", "skip b", "restart b", "pause", "resolve", "assign"}
    assert "has passed its pivot" in offered(run_id)["compensate"]


def test_of_an_open_question_the_mark_is_offered(known: Known, actor: Actor) -> None:
    run_id = stopped_in_doubt(known, actor)
    assert {"mark b", "retry b"} <= fitting(run_id)
    assert "Mark it as happened or not first" in offered(run_id)["compensate"]


def test_of_a_run_that_is_being_undone_the_compensation_is_offered(
    known: Known, actor: Actor
) -> None:
    run_id = stopped_undoing(known, actor)
    steps = {name for name in offered(run_id) if name.startswith(("retry", "skip", "mark"))}
    assert steps == {"retry undo of b", "skip undo of b"}
    assert steps <= fitting(run_id)


def test_of_a_run_at_work_the_cancel_is_offered(known: Known, actor: Actor) -> None:
    run_id = begun(known(flow(actor.steps("ab"))))
    assert fitting(run_id) == {"cancel", "pause", "assign"}
    pause(run_id, **WHY)
    assert "resume" in fitting(run_id)
    assert "pause" not in offered(run_id)


def told(offer: Offer) -> dict[str, object]:
    values = {"step": offer.step, "happened": True, "owner": "", "again": True}
    return {name: values[name] for name in offer.verb.model_fields if name in values}


@pytest.mark.parametrize("stopped", [stopped_past_the_pivot, stopped_in_doubt, stopped_undoing])
def test_what_is_offered_is_accepted_and_what_is_not_is_refused_in_the_same_words(
    known: Known, actor: Actor, stopped: object
) -> None:
    assert callable(stopped)
    for number, name in enumerate(VERBS):
        with suppress(SagaError):  # each saga is made known once
            run_id = stopped(known if not number else (lambda saga: saga), actor)
        for offer in [o for o in offers(record.read(run_id)) if o.verb.name == name]:
            verb = verb_of(name, told(offer))
            if not offer.refusal:
                act(run_id, verb, **WHY)
            else:
                with pytest.raises(SagaError) as refused:
                    act(run_id, verb, **WHY)
                assert str(refused.value) == offer.refusal

"""The partner's account of what came and what it did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from project.chaos.ledger import Call, Ledger

CALL = Call("key", "run", "a", "forward", 1)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite3")


def test_arrivals_of_a_step_are_counted_whatever_their_keys(ledger: Ledger) -> None:
    assert [ledger.arrive(CALL), ledger.arrive(replace(CALL, key="another"))] == [1, 2]
    assert ledger.arrive(replace(CALL, step="b")) == 1
    assert ledger.arrive(replace(CALL, direction="backward")) == 1


def test_a_partner_that_deduplicates_has_one_effect_for_a_key(ledger: Ledger) -> None:
    for attempt in (1, 2):
        ledger.happen(replace(CALL, attempt=attempt), once=True)
    (effect,) = ledger.effects()
    assert effect.call == CALL
    assert ledger.happened("key")
    assert not ledger.happened("another")


def test_one_that_does_not_has_as_many_as_it_is_asked_for(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.happen(CALL, once=False)
    assert len(ledger.effects()) == 2


def test_what_was_undone_before_it_happened_never_happens(ledger: Ledger) -> None:
    undo = Call("undo", "run", "a", "backward", 1)
    ledger.happen(undo, once=True)
    ledger.happen(CALL, once=True)
    ledger.happen(replace(CALL, step="b", key="b"), once=True)
    assert [effect.call.key for effect in ledger.effects()] == ["undo", "b"]


def test_it_tells_for_how_long_no_call_has_come(ledger: Ledger) -> None:
    assert ledger.idle("key") is None
    ledger.arrive(CALL)
    idle = ledger.idle("key")
    assert idle is not None
    assert 0 <= idle < 60


def test_faults_are_noted_on_the_latest_arrival(ledger: Ledger) -> None:
    ledger.arrive(CALL)
    ledger.arrive(CALL)
    ledger.note(CALL, "late")
    assert ledger.faults() == {"": 1, "late": 1}


def test_repetitions_after_the_effect_are_suppressed_duplicates(ledger: Ledger) -> None:
    ledger.arrive(CALL)
    assert ledger.repeated() == 0
    ledger.happen(CALL, once=True)
    ledger.arrive(CALL)
    assert ledger.repeated() == 1

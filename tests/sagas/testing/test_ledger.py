"""A partner's ledger: a repeated key is a call without an effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagas.testing.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_a_call_has_its_effect(ledger: Ledger) -> None:
    ledger.record("a", "forward", "key", 1)
    (effect,) = ledger.effects()
    assert (effect.step, effect.direction, effect.key, effect.attempt) == ("a", "forward", "key", 1)
    assert ledger.happened("key")
    assert not ledger.happened("other")


def test_a_repeated_key_is_a_call_without_an_effect(ledger: Ledger) -> None:
    for attempt in (1, 2):
        ledger.record("a", "forward", "key", attempt)
    assert [call.attempt for call in ledger.calls()] == [1, 2]
    assert [effect.attempt for effect in ledger.effects()] == [1]


def test_calls_are_in_the_order_in_which_they_came(ledger: Ledger) -> None:
    for step in "cab":
        ledger.record(step, "forward", step, 1)
    assert [call.step for call in ledger.calls()] == ["c", "a", "b"]
    assert [call.seq for call in ledger.calls()] == sorted(call.seq for call in ledger.calls())


def test_it_survives_the_process_that_wrote_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record("a", "forward", "key", 1)
    assert Ledger(tmp_path / "ledger").happened("key")

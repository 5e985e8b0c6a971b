"""What the seed says: the same everywhere, and in the shares that are told."""

from __future__ import annotations

from collections import Counter

import pytest

from project.chaos.fate import CANCELLED, FAULTS, REFUSED, STUCK, Fate

RUNS = [f"order:{number}" for number in range(20_000)]


def test_the_same_seed_says_the_same_and_another_one_something_else() -> None:
    def said(seed: int) -> list[object]:
        fate = Fate(seed)
        return [(fate.refused(run, ["a", "b"]), fate.fault(run, 1)) for run in RUNS[:500]]

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_runs_are_refused_cancelled_and_stuck_in_their_shares() -> None:
    fate = Fate(3)
    refused = [run for run in RUNS if fate.refused(run, ["a", "b", "c"])]
    assert len(refused) / len(RUNS) == pytest.approx(REFUSED, rel=0.15)
    assert set(Counter(fate.refused(run, ["a", "b", "c"]) for run in refused)) == {"a", "b", "c"}
    stuck = [run for run in RUNS if fate.stuck(run)]
    assert set(stuck) < set(refused)
    assert len(stuck) / len(RUNS) == pytest.approx(REFUSED * STUCK, rel=0.2)
    cancelled = sum(fate.cancelled(run) for run in RUNS)
    assert cancelled / len(RUNS) == pytest.approx(CANCELLED, rel=0.15)


def test_a_saga_without_steps_that_may_be_refused_is_not() -> None:
    assert {Fate(3).refused(run, []) for run in RUNS[:2000]} == {None}


def test_calls_fail_in_their_shares_and_a_fourth_call_goes_well() -> None:
    fate = Fate(3)
    met = Counter(fate.fault(run, 1) for run in RUNS)
    for name, share in FAULTS:
        assert met[name] / len(RUNS) == pytest.approx(share, rel=0.25)
    assert {fate.fault(run, 4) for run in RUNS} == {None}


def test_a_call_takes_between_a_twentieth_and_half_a_second() -> None:
    seconds = [Fate(3).seconds(run, 1) for run in RUNS[:2000]]
    assert 0.05 <= min(seconds) < 0.06
    assert 0.49 < max(seconds) <= 0.5

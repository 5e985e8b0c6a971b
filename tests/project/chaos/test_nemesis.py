"""When faults strike: drawn from the seed, and never left to luck."""

from __future__ import annotations

from itertools import islice

import pytest

from project.chaos.nemesis import FIRST, KINDS, schedule

SEEDS = range(500)


def strikes(seed: int) -> dict[str, list[float]]:
    """The seconds after which each kind strikes, up to its least number of strikes."""
    pauses = schedule(KINDS, seed)
    return {
        kind.name: [sum(due[:nth]) for nth in range(1, kind.least + 1)]
        for kind in KINDS
        for due in [list(islice(pauses[kind.name], kind.least))]
    }


def test_every_kind_strikes_soon_whatever_the_seed() -> None:
    for seed in SEEDS:
        assert all(0 <= times[0] <= FIRST for times in strikes(seed).values())


def test_every_kind_has_struck_as_often_as_it_must_within_forty_seconds() -> None:
    for seed in SEEDS:
        assert max(times[-1] for times in strikes(seed).values()) <= 40


def test_the_first_strikes_are_spread_out_in_an_order_that_the_seed_shuffles() -> None:
    orders = set()
    for seed in SEEDS:
        first = {name: times[0] for name, times in strikes(seed).items()}
        orders.add(tuple(sorted(first, key=first.__getitem__)))
        slots = sorted(int(at / FIRST * len(KINDS)) for at in first.values())
        assert slots == list(range(len(KINDS)))
    assert len(orders) > len(SEEDS) * 0.99


def test_the_same_seed_gives_the_same_strikes_and_another_one_others() -> None:
    assert strikes(1) == strikes(1)
    assert strikes(1) != strikes(2)


def test_one_kind_alone_strikes_within_the_same_time() -> None:
    (kind,) = [kind for kind in KINDS if kind.name == "read-only"]
    assert next(schedule([kind], 1)["read-only"]) == pytest.approx(FIRST / 2, abs=FIRST / 2)

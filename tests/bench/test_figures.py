"""How rounds become figures and ratios."""

from __future__ import annotations

import pytest

from bench.figures import MEASURES, Ratio, better, figures, medians, ratio
from bench.session import Bulk

ROUNDS = {
    "ours": [{"bulk": 100.0, "p50": 10.0}, {"bulk": 300.0, "p50": 30.0}, {"bulk": 150.0}],
    "chain": [{"bulk": 50.0, "p50": 20.0}, {"bulk": 200.0, "p50": 20.0}, {"bulk": 50.0}],
}
BULK, P50 = MEASURES[0], MEASURES[2]


def test_one_rounds_figures_are_rates_percentiles_and_cpu_per_run() -> None:
    bulk = Bulk(runs=200, seconds=4.0, cpu={"workers": 1.0, "postgres": 0.5})
    failing = Bulk(runs=100, seconds=4.0, cpu={})
    found = figures(bulk, failing, [n / 1000 for n in range(1, 101)], 50_000_000)
    assert (found["bulk"], found["failing"], found["memory"]) == (50.0, 25.0, 50.0)
    assert (found["cpu"], found["cpu_workers"], found["cpu_postgres"]) == (7.5, 5.0, 2.5)
    assert found["p50"] == pytest.approx(50.5)
    assert found["p99"] == pytest.approx(99.01)


def test_a_ratio_is_of_each_round_and_not_of_the_medians() -> None:
    """The machine drifts between rounds, so only figures of one round may be compared."""
    assert ratio(ROUNDS, "ours", "chain", "bulk") == Ratio(2.0, 1.5, 3.0)
    of_medians = medians(ROUNDS["ours"][:2])["bulk"] / medians(ROUNDS["chain"][:2])["bulk"]
    found = ratio({name: rounds[:2] for name, rounds in ROUNDS.items()}, "ours", "chain", "bulk")
    assert found is not None
    assert found.median != of_medians


def test_what_was_not_measured_has_no_ratio() -> None:
    assert ratio(ROUNDS, "ours", "chain", "commits") is None
    assert ratio(ROUNDS, "ours", "nobody", "bulk") is None


def test_better_is_more_or_less_as_the_measure_says() -> None:
    rounds = {name: found[:2] for name, found in ROUNDS.items()}
    assert better(rounds, ["ours", "chain"], BULK) == "ours"
    assert better(rounds, ["ours", "chain"], P50) in {"ours", "chain"}
    slower = {"ours": [{"p50": 30.0}], "chain": [{"p50": 20.0}]}
    assert better(slower, ["ours", "chain"], P50) == "chain"
    assert better(rounds, ["nobody"], BULK) is None

"""What was measured, and how it compares: medians of rounds, and ratios within a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from bench.session import Bulk

#: One contender's figures in one round, by measure.
Figures = Mapping[str, float]
#: The figures of all rounds, by contender.
Rounds = Mapping[str, Sequence[Figures]]


@dataclass(frozen=True)
class Measure:
    """What is measured, in which unit, and which way is better."""

    name: str
    title: str
    more_is_better: bool = False


MEASURES = (
    Measure("bulk", "bulk, runs/s", more_is_better=True),
    Measure("failing", "failing path, runs/s", more_is_better=True),
    Measure("p50", "latency p50, ms"),
    Measure("p95", "latency p95, ms"),
    Measure("p99", "latency p99, ms"),
    Measure("cpu", "CPU ms/run"),
    Measure("cpu_workers", "  workers"),
    Measure("cpu_starter", "  starter"),
    Measure("cpu_postgres", "  PostgreSQL"),
    Measure("cpu_redis", "  Redis"),
    Measure("memory", "memory of workers, MB"),
    Measure("statements", "statements/run"),
    Measure("commits", "commits/run"),
)


@dataclass(frozen=True)
class Ratio:
    """One contender's figure over another's, round by round: the machine drifts, this does not."""

    median: float
    lowest: float
    highest: float


def figures(bulk: Bulk, failing: Bulk, latencies: Sequence[float], memory: int) -> dict[str, float]:
    """One round's figures, by measure."""
    hundredths = quantiles(latencies, n=100, method="inclusive")
    return {
        "bulk": bulk.runs / bulk.seconds,
        "failing": failing.runs / failing.seconds,
        **{f"p{n}": 1000 * hundredths[n - 1] for n in (50, 95, 99)},
        "cpu": 1000 * sum(bulk.cpu.values()) / bulk.runs,
        **{f"cpu_{name}": 1000 * spent / bulk.runs for name, spent in bulk.cpu.items()},
        "memory": memory / 1e6,
    }


def medians(rounds: Sequence[Figures]) -> dict[str, float]:
    """The median of each measure."""
    return {name: median(figures[name] for figures in rounds) for name in rounds[0]}


def ratio(rounds: Rounds, of: str, to: str, measure: str) -> Ratio | None:
    """A measure of one contender over that of another. None: one of them lacks it."""
    pairs = zip(rounds.get(of, ()), rounds.get(to, ()), strict=False)
    found = [a[measure] / b[measure] for a, b in pairs if a.get(measure) and b.get(measure)]
    return Ratio(median(found), min(found), max(found)) if found else None


def better(rounds: Rounds, names: Sequence[str], measure: Measure) -> str | None:
    """Which of some contenders is best in a measure. None: none of them was measured."""
    found = {n: medians(rounds[n]).get(measure.name) for n in names if rounds.get(n)}
    known = {name: value for name, value in found.items() if value is not None}
    if not known:
        return None
    return (max if measure.more_is_better else min)(known, key=lambda name: known[name])

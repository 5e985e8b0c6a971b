"""What was at its bound first: told from how much of each resource was used, sample by sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: From this share of its bound on, a resource counts as used up; the rest is lost in sampling.
FULL = 0.9
#: So many samples in a row, since one alone is a peak.
IN_A_ROW = 4

#: How much of each resource was used at a moment: 1 is all of it.
Shares = Mapping[str, float]


@dataclass(frozen=True)
class Sample:
    """The shares in use at a moment, in seconds after the load began."""

    at: float
    shares: Shares


@dataclass(frozen=True)
class Verdict:
    """The resource that was used up first, since when, and what each used at most, on average.

    `first` is None when none was.
    """

    first: str | None
    since: float
    means: Shares

    def __str__(self) -> str:
        if self.first is not None:
            return f"{self.first}, from {self.since:.1f} s on"
        if not self.means:
            return "nothing: too short to tell"
        busiest = max(self.means, key=lambda name: self.means[name])
        return f"nothing; {busiest} was the busiest, at {self.means[busiest]:.0%}"


def judge(samples: Sequence[Sample]) -> Verdict:
    """Which resource was used up first. Of several at the same moment: the one used most."""
    means = _means(samples)
    for start, sample in enumerate(samples):
        window = samples[start : start + IN_A_ROW]
        if len(window) < IN_A_ROW:
            break
        full = [n for n in sample.shares if all(s.shares[n] >= FULL for s in window)]
        if full:
            first = max(full, key=lambda name: sum(s.shares[name] for s in window))
            return Verdict(first, sample.at, means)
    return Verdict(None, 0.0, means)


def _means(samples: Sequence[Sample]) -> dict[str, float]:
    if not samples:
        return {}
    names = samples[0].shares
    return {name: sum(s.shares[name] for s in samples) / len(samples) for name in names}

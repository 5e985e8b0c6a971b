"""A partner whose capacity halves and recovers, and the limit that follows it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

from bench.partners.arrivals import hundredth
from bench.partners.claims import Claim, Findings
from bench.partners.stage import Stage

#: Three times as many as the partner can serve at once: without a limit the rest queue there.
WORKERS, PROCESSES = 2, 12
SLOTS, SECONDS = 8, 0.2
#: Seconds in which the limit must have followed.
FOLLOWS = 10.0
_SETTINGS = {
    "inventory": {
        "bulkhead": {"critical": WORKERS * PROCESSES},
        "adaptive": {"enabled": True, "least": 1, "most": WORKERS * PROCESSES},
    }
}
_RUNS_A_SECOND = SLOTS / SECONDS


@dataclass(frozen=True, slots=True)
class Phase:
    """One capacity of the partner, and what was seen while it lasted, once it was followed."""

    name: str
    slots: int
    limits: list[float]
    latencies: list[float]


def measure(seconds: float = 20.0) -> Findings:
    """The limit and the latency with full, half and full capacity."""
    with Stage(_SETTINGS) as stage:
        stage.start("bench-ask-inventory", int(3 * seconds * _RUNS_A_SECOND))
        stage.partners.set_capacity("inventory", SLOTS, SECONDS)
        stage.workers(WORKERS, PROCESSES)
        phases = [
            _phase(stage, name, slots, seconds)
            for name, slots in (("full", SLOTS), ("half", SLOTS // 2), ("full again", SLOTS))
        ]
    full, half, again = phases
    return Findings(
        "Adaptive concurrency: a partner's capacity halves and recovers",
        f"{WORKERS} workers of {PROCESSES} processes, more work than the partner can do: "
        f"{SLOTS} calls at once (half: {SLOTS // 2}), {1000 * SECONDS:.0f} ms each, others queue. "
        f"Seen from {FOLLOWS:g} s after each change on.",
        table=[
            ["capacity", "slots", "limit, median", "p50 ms", "p95 ms", "without a limit, ms"],
            *(
                [
                    p.name,
                    str(p.slots),
                    f"{_median(p.limits):.1f}",
                    f"{_ms(p, 50):.0f}",
                    f"{_ms(p, 95):.0f}",
                    f"{_unlimited(p):.0f}",
                ]
                for p in phases
            ),
        ],
        claims=[
            Claim(
                "the limit follows down",
                f"{_median(half.limits):.1f} of {_median(full.limits):.1f}",
                _median(half.limits) < 0.8 * _median(full.limits),
            ),
            Claim(
                "and up again",
                f"{_median(again.limits):.1f}",
                _median(again.limits) > 1.25 * _median(half.limits),
            ),
            Claim(
                "p95 stays below what it is without a limit",
                ", ".join(f"{_ms(p, 95):.0f} < {_unlimited(p):.0f}" for p in phases),
                all(_ms(p, 95) < _unlimited(p) for p in phases),
            ),
        ],
    )


def _phase(stage: Stage, name: str, slots: int, seconds: float) -> Phase:
    stage.partners.set_capacity("inventory", slots, SECONDS)
    time.sleep(FOLLOWS)
    since, limits = time.time(), []
    while time.time() < since + seconds - FOLLOWS:
        limits.append(float(stage.shared("adaptive:inventory:critical").get("limit", 0)))
        time.sleep(0.25)
    latencies = [row[0] for row in stage.ask(_LATENCIES, since)]
    return Phase(name, slots, limits, latencies)


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def _ms(phase: Phase, number: int) -> float:
    return 1000 * hundredth(phase.latencies, number)


def _unlimited(phase: Phase) -> float:
    """Milliseconds of a call when all processes queue at the partner (Little's law)."""
    return 1000 * WORKERS * PROCESSES * SECONDS / phase.slots


# From the claim of an attempt to the record of its success.
_LATENCIES = """
SELECT extract(epoch FROM done.at - claim.at)::float8
FROM sagas_event done JOIN sagas_event claim
  ON claim.run_id = done.run_id AND claim.attempt = done.attempt
  AND claim.step = done.step AND claim.new = 'in_flight'
WHERE done.step <> '' AND done.new = 'succeeded' AND done.at >= to_timestamp(%s)
"""

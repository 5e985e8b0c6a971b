"""A slow partner beside one that is well, on the same workers: with a bulkhead and without."""

from __future__ import annotations

from typing import Any

from bench.partners.arrivals import rate
from bench.partners.claims import Claim, Findings
from bench.partners.stage import NotOver, Stage

PROCESSES = 8
#: The partner that is well works on so many calls at once, each for so many seconds.
SLOTS, SECONDS = 4, 0.05
#: So many processes may wait for the slow partner at once.
LIMIT = 2
_LONGEST = 30.0


def measure(healthy_runs: int = 300, slow_runs: int = 400) -> Findings:
    """Throughput of the partner that is well: alone, beside a slow one, and without a bulkhead."""
    alone = _throughput(healthy_runs, 0, LIMIT)
    bulkhead = _throughput(healthy_runs, slow_runs, LIMIT)
    without = _throughput(healthy_runs, slow_runs, None)
    share, collapsed = bulkhead / alone, without / alone
    return Findings(
        "Isolation: one slow partner, one that is well, the same workers",
        f"1 worker of {PROCESSES} processes; {slow_runs} runs ask a partner of which every call "
        f"takes its full timeout of 1 s; then {healthy_runs} ask one that does {SLOTS} at once "
        f"in {1000 * SECONDS:.0f} ms each. No circuit breaker.",
        figures=[
            ("calls/s of the partner that is well, alone", f"{alone:.1f}"),
            (f"beside the slow one, bulkhead of {LIMIT}", f"{bulkhead:.1f}"),
            ("beside the slow one, no bulkhead", f"{without:.1f}"),
        ],
        claims=[
            Claim("with a bulkhead at least 0.9 of alone", f"{share:.2f}", share >= 0.9),
            Claim("without one it collapses (below 0.5)", f"{collapsed:.2f}", collapsed < 0.5),
        ],
    )


def _throughput(healthy_runs: int, slow_runs: int, limit: int | None) -> float:
    """Calls a second of the partner that is well."""
    with Stage(_settings(limit)) as stage:
        stage.partners.set_capacity("shipping", SLOTS, SECONDS)
        stage.partners.add_fault("slow;seconds=60", service="inventory")
        stage.workers(1, PROCESSES)
        if slow_runs:
            stage.start("bench-ask-inventory", slow_runs)
            stage.until(lambda: len(stage.arrived("inventory")) >= 2 * LIMIT, 60)
        stage.start("bench-ask-shipping", healthy_runs)
        try:
            stage.until(lambda: len(stage.arrived("shipping")) >= healthy_runs, _LONGEST)
        except NotOver:  # as is to be expected without a bulkhead
            return len(stage.arrived("shipping")) / _LONGEST
        return rate(stage.arrived("shipping"))


def _settings(limit: int | None) -> dict[str, Any]:
    never = {"minimum": 1_000_000}
    return {"inventory": {"breaker": never, "retry": {"tries": 1}, "bulkhead": {"critical": limit}}}

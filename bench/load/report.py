"""The table, as people read it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from statistics import fmean

from bench.load.requests import lines
from bench.load.run import PROCESSES, THREADS, Options, Outcome
from bench.load.saturation import judge

_CORES = os.cpu_count() or 1
_WIDTH = 26


def text(asked: Options, outcome: Outcome) -> str:
    """Everything on one screen: requests, runs, resources, and what was used up first."""
    parts = (_setup(asked), _table(asked, outcome), _runs(outcome), _resources(outcome))
    return "\n\n".join("\n".join(part) for part in parts)


def _setup(asked: Options) -> Iterator[str]:
    yield (
        f"{asked.users} users for {asked.seconds} s on {_CORES} cores, "
        f"users and partners among them; 1 web process of {THREADS} threads, "
        f"2 groups of {PROCESSES} worker processes."
    )


def _table(asked: Options, outcome: Outcome) -> Iterator[str]:
    yield _row("request", ("count", "failed", "p50 ms", "p95 ms", "p99 ms", "per s"))
    for line in lines(outcome.requests, asked.seconds):
        times = (f"{ms:.0f}" for ms in (line.p50, line.p95, line.p99))
        yield _row(
            line.kind,
            (str(line.count), f"{line.failed:.1%}", *times, f"{line.per_second:.1f}"),
        )


def _runs(outcome: Outcome) -> Iterator[str]:
    told = ", ".join(f"{count} {status}" for status, count in sorted(outcome.runs.items()))
    yield f"Runs: {told}."
    if outcome.drained is None:
        yield "They were not all over half a minute after the last request."
    else:
        yield f"All were over {outcome.drained:.1f} s after the last request."
    if outcome.looks:
        most = max(outcome.looks, key=lambda look: look.unfinished)
        oldest = max(look.oldest for look in outcome.looks)
        yield f"At most {most.unfinished} were unfinished at a time, the oldest for {oldest:.1f} s."


def _resources(outcome: Outcome) -> Iterator[str]:
    verdict = judge(outcome.samples())
    cores = {name: fmean(look.cores[name] for look in outcome.looks) for name in _groups(outcome)}
    used = fmean(look.machine for look in outcome.looks) if outcome.looks else 0.0
    cores["others on this machine"] = max(0.0, used * _CORES - sum(cores.values()))
    yield "Cores used: " + ", ".join(f"{name} {share:.2f}" for name, share in cores.items()) + "."
    yield from (f"{share:>6.0%} of {name}" for name, share in verdict.means.items())
    yield f"Used up first: {verdict}."


def _groups(outcome: Outcome) -> Sequence[str]:
    return list(outcome.looks[0].cores) if outcome.looks else []


def _row(name: str, cells: Sequence[str]) -> str:
    return name.ljust(_WIDTH) + "".join(cell.rjust(9) for cell in cells)

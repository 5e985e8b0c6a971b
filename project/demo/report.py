"""What the demo prints about a run: its timeline, the partners' ledger beside it, the checks."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import zip_longest

from integrations.sandbox.ledger import Arrival, Ledger
from project.demo.scenarios import Evidence, Scenario
from sagas.management.timeline import timeline
from sagas.models import Run

_GAP = "   |   "


def report(scenario: Scenario, run: Run, ledger: Ledger) -> tuple[str, bool]:
    """The printed report on a played scenario, and whether all is as it must be."""
    evidence = Evidence.of(ledger, run.business_key)
    checks = [(f"the run ended {scenario.ends}", run.status == scenario.ends)]
    checks += [(claim, holds(evidence)) for claim, holds in scenario.claims]
    title, _, history = timeline(run.pk).partition("\n\n")
    lines = [
        title,
        "",
        *_beside(history.splitlines(), list(_ledger(evidence, run.created_at))),
        "",
        *(f"  {'ok  ' if holds else 'FAIL'}  {claim}" for claim, holds in checks),
    ]
    return "\n".join(lines), all(holds for _, holds in checks)


def _ledger(evidence: Evidence, began: datetime) -> Iterator[str]:
    """Every request that reached a partner, and below it what it brought about."""
    yield "    What reached the partners, and what they did (=)"
    lines = [(a.at, 0, _arrival(a)) for a in evidence.arrivals]
    lines += [(e.at, 1, f"= {e.kind.replace('_', ' ')} {e.object_id}") for e in evidence.effects]
    for at, _, line in sorted(lines):
        yield f"+{at - began.timestamp():.3f} s".rjust(12) + f"  {line}"


def _arrival(arrival: Arrival) -> str:
    answer = str(arrival.status) if arrival.status else "no answer"
    fault = f", fault: {arrival.fault}" if arrival.fault else ""
    again = ", answered from memory" if arrival.replayed else ""
    return f"{arrival.service} {arrival.operation}: {answer}{fault}{again}"


def _beside(left: list[str], right: list[str]) -> list[str]:
    """Two columns, or one below the other in a terminal that is too narrow."""
    width = max(map(len, left))
    if width + len(_GAP) + max(map(len, right)) > _columns():
        return [*left, "", *right]
    pairs = zip_longest(left, right, fillvalue="")
    return [f"{one:<{width}}{_GAP}{other}".rstrip() for one, other in pairs]


def _columns() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize

"""A partner that starts failing, asked by two workers of eight processes and by eight callers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench.partners.arrivals import within
from bench.partners.claims import Claim, Findings
from bench.partners.stage import Stage

WORKERS, PROCESSES, CALLERS = 2, 8, 8
#: Seconds after the breaker has opened in which calls may still arrive that had left before.
UNDER_WAY = 0.25
_SETTINGS = {"inventory": {"retry": {"tries": 1}, "breaker": {"cooldown": 2, "longest": 4}}}


@dataclass(frozen=True, slots=True)
class State:
    """The breaker's state from one moment on, by the clock that the partner has too."""

    name: str
    generation: int
    since: float
    probed_from: float


def measure(seconds: float = 20.0, runs: int = 200) -> Findings:
    """How often it opens, and who gets through while it is open."""
    with Stage(_SETTINGS) as stage:
        stage.workers(WORKERS, PROCESSES)
        stage.partners.add_fault("unavailable-503", service="inventory")
        stage.start("bench-ask-inventory", runs)
        callers = [_caller(stage, seconds) for _ in range(CALLERS)]
        seen = _watch(stage, seconds)
        spared = sum(int(caller.communicate()[0].split()[1]) for caller in callers)
        stage.partners.clear_faults()
        stage.until_finished("bench-ask-inventory", runs, 120)
        closed = _state(stage)
        moments = stage.arrived("inventory")
        failed = stage.ask("SELECT count(*) FROM sagas_run WHERE status <> 'succeeded'")[0][0]
    openings = [state for state in seen if state.name == "open"]
    while_open = [within(moments, s.since + UNDER_WAY, s.probed_from) for s in openings]
    probes = [
        within(moments, state.probed_from, after.since + UNDER_WAY)
        for state, after in pairwise(openings)
    ]
    jumps = [after.generation - before.generation for before, after in pairwise(openings)]
    return Findings(
        "Circuit breaker: a partner that starts failing",
        f"{WORKERS} workers of {PROCESSES} processes with {runs} runs, {CALLERS} processes that "
        f"ask again at once whatever they are told; every call is answered 503 for {seconds:g} s.",
        figures=[
            (
                "calls that reached the partner before it opened",
                str(within(moments, 0, openings[0].since + UNDER_WAY)),
            ),
            ("asked in vain and spared, by the callers alone", str(spared)),
            ("times it was open and was probed", str(len(probes))),
        ],
        claims=[
            Claim(
                "it opens once for all: each time by one generation",
                str(jumps),
                bool(jumps) and set(jumps) == {1},
            ),
            Claim("calls made while it was open", str(sum(while_open)), sum(while_open) == 0),
            Claim(
                "calls let through each time that it was probed",
                str(probes),
                bool(probes) and set(probes) == {1},
            ),
            Claim("it closes once the partner is well", closed.name, closed.name == "closed"),
            Claim("all runs end well", f"{failed} did not", failed == 0),
        ],
    )


def _caller(stage: Stage, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.partners.caller", str(seconds)],
        env=stage.world.environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def _watch(stage: Stage, seconds: float) -> Sequence[State]:
    """The states that the breaker goes through, each once."""
    seen: list[State] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = _state(stage)
        if not seen or state.generation != seen[-1].generation:
            seen.append(state)
        time.sleep(0.01)
    return seen


def _state(stage: Stage) -> State:
    found = stage.shared("breaker:inventory")
    return State(
        found.get("state", "closed"),
        int(found.get("generation", 0)),
        float(found.get("since", 0)),
        float(found.get("until", 0)),
    )

"""The measurement: each round measures every contender in turn, alone on the machine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench import counting, housekeeping
from bench.contenders import Contender
from bench.figures import figures
from bench.options import Options
from bench.place import Place
from bench.session import Session


@dataclass
class Measured:
    """All figures: by contender one for each round, and what was counted once."""

    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)


def measure(options: Options, place: Place) -> Measured:
    """Measure every contender that the options ask for, and say what is done while it is."""
    engines = _engines(place)
    sides = [_Side(contender, place, engines) for contender in options.contenders]
    measured = Measured({side.name: [] for side in sides}, place.versions())
    for side in sides:
        side.prepare(options.stored)
    for number in range(1, options.rounds + 1):
        for side in sides:
            _say(f"round {number} of {options.rounds}: {side.contender.title}")
            measured.rounds[side.name].append(side.round(options.runs))
    for side in (s for s in sides if s.contender.records and not s.contender.history):
        _say(f"counting: {side.contender.title}")
        counted = side.count()
        measured.rounds[side.name] = [f | counted for f in measured.rounds[side.name]]
    return measured


class _Side:
    """A contender with its database."""

    def __init__(self, contender: Contender, place: Place, engines: Mapping[str, int]) -> None:
        self.contender = contender
        self.name = contender.name
        self._place = place
        self._engines = engines
        self._database = place.database(self.name.replace("-", "_"))
        self._environment = place.environment(self.name, self._database)

    def prepare(self, stored: int) -> None:
        """Make its tables, and store finished runs if it is measured with them."""
        if self.contender.prepare:
            subprocess.run(self.contender.prepare, env=self._environment, check=True)
        if self.contender.history:
            _say(f"storing {stored} finished runs")
            with self._session():
                pass  # its warm-up finishes some
            housekeeping.store(self._database, stored)

    def round(self, runs: int) -> dict[str, float]:
        """One round's figures."""
        with self._session() as session:
            bulk = session.bulk(runs)
            failing = session.bulk(max(runs // 2, 1), failing=True)
            latencies = session.latencies(max(runs // 3, 2))
            found = figures(bulk, failing, latencies, session.memory())
        housekeeping.tidy(self._database)
        return found

    def count(self) -> dict[str, float]:
        """Statements and commits per run."""
        return counting.count(self._session, self._database, self._place.directory)

    def _session(self, more: Mapping[str, str] | None = None) -> Session:
        environment = {**self._environment, **(more or {})}
        return Session(self.contender, environment, self._engines, self._place.directory)


def _engines(place: Place) -> dict[str, int]:
    found = place.engines()
    for name in sorted({"postgres", "redis"} - found.keys()):
        _say(f"{name} does not run on this machine: its CPU is not counted")
    return found


def _say(what: str) -> None:
    print(f"  {what}", flush=True)

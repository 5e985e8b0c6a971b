"""A campaign: calm, chaos, heal, quiesce, judge."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg

from project.chaos import messages
from project.chaos.fate import FAULTS, Fate
from project.chaos.load import Accepted, Load
from project.chaos.nemesis import Nemesis
from project.chaos.operators import VERBS, Operators
from project.chaos.recovery import Outages, Wait, waits
from project.chaos.stand_in import FORKED, NEIGHBOUR
from project.chaos.verdict import Verdict, idle, judge, seen_so_far
from project.chaos.world import ChaosWorld, Plan
from sagas.define.saga import Definition

QUIESCE = 60.0  #: seconds after the heal by which every run must be at rest
PROLONGED = 240.0  #: seconds that a campaign goes on at most for what has not been met yet
_CALM = 0.1  # share of the runs that have come to rest before the first fault
_PER_RUN = 0.6  # seconds of every kind of fault for each run; a slow machine goes on without most
_LONGEST = 3600.0
_AT_REST = """
SELECT count(*) FILTER (
  WHERE status IN ('succeeded', 'compensated', 'needs_attention', 'resolved')
    AND wake_at IS NULL), count(*)
FROM sagas_run"""  # what a stopped run has in flight answers, or a sweep settles it


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign is asked to do.

    Attributes:
        runs: how many runs to start at least.
        seconds: how long the faults go on at least.
        faults: names of the nemesis's kinds.
    """

    plan: Plan
    runs: int
    seconds: float
    faults: tuple[str, ...]
    sagas: dict[str, Definition]
    payload: dict[str, Any]


@dataclass(slots=True)
class Outcome:
    """What came of it. Times are seconds, rates runs per second."""

    verdict: Verdict
    accepted: Accepted
    recovery: list[Wait]
    injected: dict[str, int]
    operators: tuple[dict[str, int], dict[str, int]]  # accepted and refused, by verb
    vacuous: list[str]
    quiesced: float | None = None  # after the heal; None: not in time
    prolonged: float = 0.0  # for what had not been met yet
    calm_rate: float = 0.0
    chaos_rate: float = 0.0
    web_memory: tuple[int, int] = (0, 0)  # bytes at the start and at the end
    web_files: tuple[int, int] = (0, 0)
    log: list[str] = field(default_factory=list)


def run(campaign: Campaign, var: Path, echo: IO[str], say: Callable[[str], None]) -> Outcome:
    """Do all of it in a private world under `var`; `say` is told how it goes on."""
    with ChaosWorld(var, campaign.plan, echo) as world:
        return _Course(campaign, world, say).run()


class _Course:
    def __init__(self, campaign: Campaign, world: ChaosWorld, say: Callable[[str], None]) -> None:
        self._campaign = campaign
        self._world = world
        self._say = say
        self._log: list[str] = []
        self._began = time.monotonic()
        self._load = Load(world, campaign.runs, _turns(campaign.sagas), campaign.payload)
        self._nemesis = Nemesis(world, campaign.faults, self._note)
        self._operators = Operators(world, campaign.sagas)
        self._outages = Outages()
        self._idle: set[str] = set()
        self._rested = self._most_rested = 0  # operators set runs going again
        self._said = 0.0
        self._lacking = ""  # what the campaign is prolonged for

    def run(self) -> Outcome:
        try:
            return self._run()
        finally:
            self._load.stop()
            self._operators.stop(0)
            self._nemesis.heal()

    def _run(self) -> Outcome:
        web = self._world.main_process("web")
        before = _size(web)
        loading = threading.Thread(target=self._load.run, daemon=True)
        loading.start()
        calm = self._until(lambda: self._rested >= self._campaign.runs * _CALM, "calm", _LONGEST)
        self._nemesis.start()
        self._operators.start()
        calm_runs = self._rested
        seconds, runs = self._campaign.seconds, self._campaign.runs
        ends_at = time.monotonic() + seconds
        chaos = self._until(
            lambda: self._load.started >= runs and time.monotonic() >= ends_at,
            "chaos",
            max(seconds, runs * _PER_RUN),
        )
        self._nemesis.last_round()
        chaos += self._until(lambda: self._load.started >= runs, "last round", _LONGEST)
        prolonged = self._until(self._complete, "prolonged", PROLONGED)
        self._load.enough()
        chaos += prolonged + self._until(lambda: not loading.is_alive(), "last starts", _LONGEST)
        chaos_runs = self._rested - calm_runs
        self._nemesis.heal()
        self._note("healed")
        self._operators.stop()
        quiesced = self._until(self._all_rest, "quiescing", QUIESCE)
        with self._world.connect() as database:
            verdict = judge(
                database,
                self._world.ledger,
                self._load.accepted,
                self._campaign.sagas,
                Fate(self._campaign.plan.seed),
            )
        for run_id in self._idle:
            verdict.add("I1", "idle", f"run {run_id} was active with nothing claimable")
        after = _size(web)
        return Outcome(
            verdict=verdict,
            accepted=self._load.accepted,
            recovery=waits(
                verdict.takeovers, messages.read(self._world.messages), self._outages.found
            ),
            injected=dict(self._nemesis.injected),
            operators=(dict(self._operators.accepted), dict(self._operators.refused)),
            vacuous=[
                *self._nemesis.vacuous,
                *self._undone(),
                *_vacuous(self._campaign, verdict.seen),
            ],
            prolonged=prolonged,
            quiesced=quiesced if self._all_rest() else None,
            calm_rate=calm_runs / max(calm, 0.001),
            chaos_rate=chaos_runs / max(chaos, 0.001),
            web_memory=(before[0], after[0]),
            web_files=(before[1], after[1]),
            log=self._log,
        )

    def _complete(self) -> bool:
        """Whether all has happened without which a campaign shows too little."""
        missing = self._missing()
        self._lacking = f"; missing {missing[0]}" if missing else ""
        return not missing

    def _missing(self) -> list[str]:
        if missing := [*self._nemesis.vacuous, *self._undone()]:
            return missing
        try:
            with self._world.connect() as database:
                return _vacuous(self._campaign, seen_so_far(database, self._world.ledger))
        except psycopg.Error:
            return ["an answer of the database"]

    def _undone(self) -> list[str]:
        """What no operator has done yet, though these sagas give reason to."""
        if FORKED not in self._campaign.sagas:
            return []
        return [f"operators' {v}: none" for v in VERBS if not self._operators.accepted[v]]

    def _until(self, reached: Callable[[], bool], phase: str, longest: float) -> float:
        """Look again and again until it is so, or for so long; give the seconds it took."""
        began = time.monotonic()
        while True:
            self._look(phase)
            if reached() or time.monotonic() - began > longest:
                return time.monotonic() - began
            time.sleep(0.3)

    def _look(self, phase: str) -> None:
        self._outages.look(self._world)
        try:
            with self._world.connect() as database:
                found = database.execute(_AT_REST).fetchone()
                self._idle |= set(idle(database))
        except psycopg.Error:
            return  # the nemesis has it
        rested = int(str(found[0])) if found else 0
        for _ in range(rested - self._most_rested):
            self._load.finished()
        self._most_rested = max(rested, self._most_rested)
        self._rested = rested
        if time.monotonic() - self._said > 5:
            self._said = time.monotonic()
            faults = sum(self._nemesis.injected.values())
            self._say(
                f"{phase}: {self._rested} of {self._campaign.runs} runs at rest, "
                f"{len(self._load.accepted.runs)} accepted, {faults} faults, "
                f"{time.monotonic() - self._began:.0f} s{self._lacking}"
            )

    def _all_rest(self) -> bool:
        return self._rested >= len(self._load.accepted.runs)

    def _note(self, what: str) -> None:
        self._log.append(f"{time.monotonic() - self._began:8.2f} {what}")


def _turns(sagas: Iterable[str]) -> list[str]:
    """Sagas in the order in which runs of them are started: of neighbours fewer."""
    others = [name for name in sagas if name != NEIGHBOUR]
    return others * 4 + [name for name in sagas if name == NEIGHBOUR]


def _vacuous(campaign: Campaign, seen: Counter[str]) -> list[str]:
    """What must have been met, or the campaign has proved little."""
    least = {
        "unknowns": campaign.runs // 50,
        "compensations": campaign.runs // 100,
        "retries": campaign.runs // 50,
        "duplicates suppressed": campaign.runs // 100,
        **{f"partner: {name}": 1 for name, _ in FAULTS},
    }
    if {"child", "worker"} & set(campaign.faults):
        least["takeovers"] = max(1, campaign.runs // 100)
    if "freeze" in campaign.faults:
        least["late answers"] = 1
    return [
        f"{what}: {seen[what]} of at least {minimum}"
        for what, minimum in least.items()
        if seen[what] < minimum
    ]


def _size(process: psutil.Process | None) -> tuple[int, int]:
    try:
        family = [process, *process.children(recursive=True)] if process else []
        return sum(p.memory_info().rss for p in family), sum(p.num_fds() for p in family)
    except psutil.Error:
        return 0, 0

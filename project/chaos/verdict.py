"""What the record and the partner's ledger say of a campaign, by the invariants I1 to I12."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import psycopg

from project.chaos.fate import Fate
from project.chaos.ledger import Entry, Ledger
from project.chaos.load import Accepted
from project.chaos.stand_in import refused_step, undone_last
from sagas.define.saga import Definition
from sagas.history import Fact, replay
from sagas.testing.audit import before

_RUNS = """
SELECT id::text, saga, business_key, status, epoch, attention, wake_at IS NOT NULL FROM sagas_run"""
_STEPS = "SELECT run_id::text, direction, name, status, in_doubt FROM sagas_step"
_EVENTS = """
SELECT run_id::text, extract(epoch FROM at)::float8, step, direction, old, new, attempt, epoch, data
FROM sagas_event ORDER BY run_id, id"""
_ENDED = ("succeeded", "compensated", "needs_attention")


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        violations: each as ``I3: ...``.
        statuses: how many runs came to rest in each status.
        counts: lost, stuck, double, missing, orphan, hanging effects, and what else is reported.
        seen: what really happened, for the minimums: unknowns, takeovers, zombies and so on.
        recovery: seconds from the claim of each lost attempt until it was taken over.
    """

    violations: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    recovery: list[float] = field(default_factory=list)

    def add(self, invariant: str, kind: str, what: str) -> None:
        """Note a violation of an invariant, counted as that kind."""
        self.counts[kind] += 1
        self.violations.append(f"{invariant}: {what}")


@dataclass(slots=True)
class _Run:
    id: str
    saga: Definition
    business: str
    status: str
    epoch: int
    attention: str
    awake: bool
    steps: list[tuple[str, str, str, bool]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    effects: list[Entry] = field(default_factory=list)


def judge(
    database: psycopg.Connection[Any],
    ledger: Ledger,
    accepted: Accepted,
    sagas: dict[str, Definition],
    fate: Fate,
) -> Verdict:
    """Check every run of a campaign that has come to rest."""
    verdict = Verdict()
    runs = _read(database, ledger, sagas)
    _triggers(verdict, runs, accepted)
    for run in runs.values():
        verdict.statuses[run.status] += 1
        _rest(verdict, run)
        _history(verdict, run)
        _effects(verdict, run)
        _order(verdict, run)
        _attention(verdict, run, fate)
    _leaks(verdict, database)
    verdict.seen["duplicates suppressed"] = ledger.repeated()
    verdict.seen.update({f"partner: {k}": n for k, n in ledger.faults().items() if k})
    return verdict


def _read(
    database: psycopg.Connection[Any], ledger: Ledger, sagas: dict[str, Definition]
) -> dict[str, _Run]:
    runs = {
        row[0]: _Run(row[0], sagas[row[1]], *row[2:]) for row in database.execute(_RUNS).fetchall()
    }
    for run_id, *step in database.execute(_STEPS).fetchall():
        runs[run_id].steps.append(tuple(step))
    for run_id, events in groupby(database.execute(_EVENTS).fetchall(), key=lambda row: row[0]):
        if run_id in runs:
            runs[run_id].events = [event[1:] for event in events]
    for effect in ledger.effects():
        if effect.call.run in runs:
            runs[effect.call.run].effects.append(effect)
    return runs


def _triggers(verdict: Verdict, runs: dict[str, _Run], accepted: Accepted) -> None:
    by_key = {run.business: run.id for run in runs.values()}
    for business, run_id in accepted.runs.items():
        if by_key.get(business) != run_id:
            verdict.add(
                "I2", "lost", f"{business} was accepted as run {run_id}, which is not there"
            )
    for business in accepted.disagreements:
        verdict.add("I2", "lost", f"{business} was accepted as two runs")
    for business in accepted.rolled_back:
        if business in by_key:
            verdict.add("I2", "unasked", f"{business} runs, but its transaction did not commit")


def _rest(verdict: Verdict, run: _Run) -> None:
    if run.status not in _ENDED:
        steps = [f"{name} {direction} {status}" for direction, name, status, _ in run.steps]
        verdict.add("I1", "stuck", f"{run.business} is {run.status}: {', '.join(steps)}")
    if run.awake and run.status in _ENDED:
        verdict.add("I12", "leaks", f"{run.business} is over, and a sweep still looks at it")
    if run.status in _ENDED and any(status == "in_flight" for _, _, status, _ in run.steps):
        verdict.add("I12", "leaks", f"{run.business} is at rest with a step in flight")


def _history(verdict: Verdict, run: _Run) -> None:
    facts = [Fact(e[1], e[2], e[3], e[4], e[6]) for e in run.events]
    told = replay(facts)
    for problem in told.problems:
        verdict.add("I10" if "epoch" in problem else "I9", "illegal", f"{run.business}: {problem}")
    if told.status != run.status:
        verdict.add(
            "I9", "illegal", f"{run.business} is {run.status}, its events say {told.status}"
        )
    for direction, name, status, _ in run.steps:
        said = told.steps.get((direction, name), "pending")
        if said != status:
            verdict.add(
                "I9", "illegal", f"{run.business}: {name} is {status}, its events say {said}"
            )
    claimed: dict[tuple[str, str], float] = {}
    for at, step, direction, _, new, _, _, data in run.events:
        if new == "in_flight":
            if data.get("took_over"):
                verdict.seen["takeovers"] += 1
                verdict.recovery.append(at - claimed[direction, step])
            claimed[direction, step] = at
        verdict.seen["unknowns"] += new == "unknown"
        verdict.seen["late answers"] += "late_answer" in data
        verdict.seen["compensations"] += new == "succeeded" and direction == "backward"
        verdict.seen["retries"] += new == "ready" and "reason" in data


def _effects(verdict: Verdict, run: _Run) -> None:
    count = Counter((e.call.direction, e.call.step) for e in run.effects)
    for (direction, step), times in count.items():
        if times > 1:
            verdict.add("I3", "double", f"{run.business}: {step} {direction} has {times} effects")
    claims: dict[tuple[str, str, int], float] = {}
    for at, step, direction, _, new, attempt, _, _ in run.events:
        if new == "in_flight":
            claims[direction, step, attempt] = at
    for effect in run.effects:
        call = effect.call
        at = claims.get((call.direction, call.step, call.attempt))
        if at is None or at > effect.at:
            verdict.add(
                "I5", "unclaimed", f"{run.business}: {call.step} {call.direction} took effect in "
                f"attempt {call.attempt}, which nobody had claimed",
            )  # fmt: skip
    for direction, step, status, _ in run.steps:
        if status == "succeeded" and not count[direction, step] and not run.saga.steps[step].waits:
            verdict.add("I6", "missing", f"{run.business}: {step} {direction} has no effect")
    if run.status == "compensated":
        for name, defined in run.saga.steps.items():
            if defined.compensation and count["forward", name] and not count["backward", name]:
                verdict.add("I4", "orphan", f"{run.business}: {name} was not undone")


def _order(verdict: Verdict, run: _Run) -> None:
    first: dict[tuple[str, str], int] = {}
    for effect in run.effects:
        first.setdefault((effect.call.direction, effect.call.step), effect.seq)
    for early, late in before(run.saga.tree):
        for direction, pair in (("forward", (early, late)), ("backward", (late, early))):
            a, b = (first.get((direction, name)) for name in pair)
            if a is not None and b is not None and a > b:
                verdict.add(
                    "I7", "order", f"{run.business}: {pair[1]} before {pair[0]} {direction}"
                )
    undone = [seq for (direction, _), seq in first.items() if direction == "backward"]
    for effect in run.effects:
        if undone and effect.call.direction == "forward" and effect.seq > min(undone):
            verdict.add("I7", "hanging", f"{run.business}: {effect.call.step} took effect too late")
    pivot = run.saga.pivot.name if run.saga.pivot else ""
    if undone and ("forward", pivot) in first:
        verdict.add("I8", "order", f"{run.business} was undone past its pivot")


def _attention(verdict: Verdict, run: _Run, fate: Fate) -> None:
    """Whether a person is needed exactly where the seed, or an honest doubt, says so."""
    doubt = any(in_doubt for _, _, status, in_doubt in run.steps if status != "succeeded")
    stuck_step = undone_last(run.saga) if fate.stuck(run.business) else ""
    refused = any(
        (direction, name, status) == ("backward", stuck_step, "failed")
        for direction, name, status, _ in run.steps
    )
    stray = any("stray" in event[-1] for event in run.events)
    reasons = (doubt, refused, stray, "died" in run.attention)
    if run.status == "needs_attention" and not any(reasons):
        verdict.add("I11", "attention", f"{run.business}, for no good reason: {run.attention}")
    undone = ("backward", stuck_step) in {(d, n) for d, n, status, _ in run.steps}
    if run.status == "compensated" and stuck_step and undone:
        verdict.add("I11", "attention", f"{run.business} is compensated; {stuck_step} cannot be")
    if run.status == "succeeded" and refused_step(fate, run.saga, run.business):
        verdict.add("I11", "attention", f"{run.business} succeeded; its partner refuses a step")


def _leaks(verdict: Verdict, database: psycopg.Connection[Any]) -> None:
    for what, query in _LEAKS.items():
        left = database.execute(query).fetchone()
        if left and left[0]:
            verdict.add("I12", "leaks", f"{left[0]} {what}")


_LEAKS = {
    "sessions idle in a transaction": "SELECT count(*) FROM pg_stat_activity "
    "WHERE state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()",
    "advisory locks": "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
}


def recovery_of(verdict: Verdict) -> dict[str, float]:
    """The median, the 99th percentile and the longest time to recovery, in seconds."""
    times = sorted(verdict.recovery)
    if not times:
        return {}
    return {
        "p50": times[len(times) // 2],
        "p99": times[min(len(times) - 1, int(len(times) * 0.99))],
        "max": times[-1],
    }


def by_invariant(verdict: Verdict) -> dict[str, list[str]]:
    """The violations of each invariant that is broken."""
    found: dict[str, list[str]] = defaultdict(list)
    for violation in verdict.violations:
        found[violation.split(":")[0]].append(violation)
    return dict(found)


def kinds() -> Iterator[str]:
    """The counts that must be zero, in the order in which they are told."""
    yield from ("lost", "stuck", "double", "missing", "orphan", "hanging", "order", "illegal")
    yield from ("unclaimed", "unasked", "attention", "leaks")

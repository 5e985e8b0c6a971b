"""What the record and the partner's ledger say of a campaign, by the invariants I1 to I12."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any
from uuid import UUID, uuid5

import psycopg

from project.chaos.fate import Fate
from project.chaos.ledger import Entry, Ledger
from project.chaos.load import Accepted
from project.chaos.recovery import Takeover
from project.chaos.stand_in import BRANCHES, FORKED, NEIGHBOUR, refused_step, undone_last
from sagas.define.saga import Definition
from sagas.history import Fact, replay
from sagas.testing.audit import before
from sagas.testing.liveness import STRANDED

_RUNS = """
SELECT id::text, saga, business_key, status, epoch, attention, wake_at IS NOT NULL FROM sagas_run"""
_STEPS = "SELECT run_id::text, direction, name, status, in_doubt, generation FROM sagas_step"
_EVENTS = """
SELECT run_id::text, extract(epoch FROM at)::float8, step, direction, old, new, attempt, epoch,
  data, worker
FROM sagas_event ORDER BY run_id, id"""
_SEEN = """
SELECT count(*) FILTER (WHERE new = 'in_flight' AND data ? 'took_over') AS "takeovers",
  count(*) FILTER (WHERE new = 'unknown') AS "unknowns",
  count(*) FILTER (WHERE data ? 'late_answer') AS "late answers",
  count(*) FILTER (WHERE new = 'succeeded' AND direction = 'backward') AS "compensations",
  count(*) FILTER (WHERE new = 'ready' AND data ? 'reason') AS "retries"
FROM sagas_event"""
_ENDED = ("succeeded", "compensated", "needs_attention", "resolved")


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        violations: each as ``I3: ...``.
        statuses: how many runs came to rest in each status.
        counts: lost, stuck, double, missing, orphan, hanging effects, and what else is reported.
        seen: what really happened, for the minimums: unknowns, takeovers, zombies and so on.
        takeovers: the attempts that were lost and taken over.
    """

    violations: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    takeovers: list[Takeover] = field(default_factory=list)

    def add(self, invariant: str, kind: str, what: str) -> None:
        """Note a violation of an invariant, counted as that kind."""
        self.counts[kind] += 1
        self.violations.append(f"{invariant}: {what}")


@dataclass(frozen=True, slots=True)
class _Step:
    direction: str
    name: str
    status: str
    in_doubt: bool = False
    generation: int = 1  # how often an operator has had it done anew, with another key

    def keys(self, run: str) -> list[str]:
        """The idempotency keys that its calls may have had, the one of now last."""
        names = (f"{self.name}:{self.direction}:{n + 1}" for n in range(self.generation))
        return [str(uuid5(UUID(run), name)) for name in names]


@dataclass(slots=True)
class _Run:
    id: str
    saga: Definition
    business: str
    status: str
    epoch: int
    attention: str
    awake: bool
    steps: list[_Step] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    effects: list[Entry] = field(default_factory=list)

    def step(self, direction: str, name: str) -> _Step | None:
        """Its row, if there is one."""
        found = (s for s in self.steps if (s.direction, s.name) == (direction, name))
        return next(found, None)


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
    for run_id in idle(database):
        verdict.add("I1", "idle", f"run {run_id} is active, and nothing of it can be claimed")
    _triggers(verdict, runs, accepted)
    for run in runs.values():
        verdict.statuses[run.status] += 1
        _rest(verdict, run)
        _history(verdict, run)
        if run.saga.name == NEIGHBOUR:  # which has no partner
            _undisturbed(verdict, run)
            continue
        _effects(verdict, run)
        _order(verdict, run)
        _attention(verdict, run, fate)
    _leaks(verdict, database)
    verdict.seen = seen_so_far(database, ledger)
    return verdict


def idle(database: psycopg.Connection[Any]) -> list[str]:
    """The runs that are active and have nothing to claim or to wait for: there are never any."""
    return [str(run_id) for (run_id,) in database.execute(STRANDED).fetchall()]


def seen_so_far(database: psycopg.Connection[Any], ledger: Ledger) -> Counter[str]:
    """What really happened, for the minimums: unknowns, takeovers, late answers and so on."""
    cursor = database.execute(_SEEN)
    found = cursor.fetchone() or ()
    names = [column.name for column in cursor.description or ()]
    seen: Counter[str] = Counter(dict(zip(names, map(int, found), strict=True)))
    seen["duplicates suppressed"] = ledger.repeated()
    seen.update({f"partner: {fault}": times for fault, times in ledger.faults().items() if fault})
    return seen


def _read(
    database: psycopg.Connection[Any], ledger: Ledger, sagas: dict[str, Definition]
) -> dict[str, _Run]:
    runs = {
        row[0]: _Run(row[0], sagas[row[1]], *row[2:]) for row in database.execute(_RUNS).fetchall()
    }
    for run_id, *step in database.execute(_STEPS).fetchall():
        runs[run_id].steps.append(_Step(*step))
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
        steps = [f"{step.name} {step.direction} {step.status}" for step in run.steps]
        verdict.add("I1", "stuck", f"{run.business} is {run.status}: {', '.join(steps)}")
    if run.awake and run.status in _ENDED:
        verdict.add("I12", "leaks", f"{run.business} is over, and a sweep still looks at it")
    if run.status in _ENDED and any(s.status == "in_flight" for s in run.steps):
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
    for step in run.steps:
        said = told.steps.get((step.direction, step.name), "pending")
        if said != step.status:
            verdict.add(
                "I9",
                "illegal",
                f"{run.business}: {step.name} is {step.status}, its events say {said}",
            )
    held = tuple(_pauses(run))
    claimed: dict[tuple[str, str], float] = {}
    for at, name, direction, _, new, _, _, data, worker in run.events:
        if new == "in_flight":
            if data.get("took_over"):
                before = claimed[direction, name]
                verdict.takeovers.append(Takeover(run.id, name, before, at, worker, held))
            claimed[direction, name] = at


def _pauses(run: _Run) -> Iterator[tuple[float, float]]:
    """When an operator had paused the run."""
    said = [(event[0], event[4]) for event in run.events if event[4] in ("pause", "resume")]
    for (at, what), (until, _) in pairwise([*said, (float("inf"), "resume")]):
        if what == "pause":
            yield at, until


def _effects(verdict: Verdict, run: _Run) -> None:
    by_key = Counter(effect.call.key for effect in run.effects)
    known = {key for step in run.steps for key in step.keys(run.id)}
    for effect in run.effects:
        call, times = effect.call, by_key.pop(effect.call.key, 1)
        what = f"{run.business}: {call.step} {call.direction}"
        if times > 1:
            verdict.add("I3", "double", f"{what} has {times} effects")
        if call.key not in known:
            verdict.add("I3", "double", f"{what} took effect with a key that is not its own")
    claims: dict[tuple[str, str, int], float] = {}
    for at, name, direction, _, new, attempt, *_ in run.events:
        if new == "in_flight":
            claims[direction, name, attempt] = at
    for effect in run.effects:
        call = effect.call
        claimed = claims.get((call.direction, call.step, call.attempt))
        if claimed is None or claimed > effect.at:
            verdict.add(
                "I5", "unclaimed", f"{run.business}: {call.step} {call.direction} took effect in "
                f"attempt {call.attempt}, which nobody had claimed",
            )  # fmt: skip
    keys = {effect.call.key for effect in run.effects}
    for step in run.steps:
        _accounted_for(verdict, run, step, keys)


def _accounted_for(verdict: Verdict, run: _Run, step: _Step, keys: set[str]) -> None:
    """Whether a step has its effects: those of now, and those that operators had done again."""
    *before, now = step.keys(run.id)
    what = f"{run.business}: {step.name} {step.direction}"
    if step.status == "succeeded" and now not in keys and not run.saga.steps[step.name].waits:
        verdict.add("I6", "missing", f"{what} has no effect")
    again = sum(
        (event[1], event[2], event[3]) == (step.name, step.direction, "succeeded")
        for event in run.events
    )
    if sum(key in keys for key in before) > again and not _strayed(run):
        verdict.add("I4", "orphan", f"{what} took effect, and was done anew as if it had not")
    if step.status == "skipped" and now in keys and not step.in_doubt:
        verdict.add("I4", "orphan", f"{what} was skipped, and took effect")
    undone = run.step("backward", step.name)
    undoes = step.direction == "forward" and run.saga.steps[step.name].compensation is not None
    if run.status == "compensated" and undoes and now in keys:
        skipped = undone is not None and undone.status == "skipped"
        if not skipped and (undone is None or undone.keys(run.id)[-1] not in keys):
            verdict.add("I4", "orphan", f"{run.business}: {step.name} was not undone")


def _undisturbed(verdict: Verdict, run: _Run) -> None:
    """A run whose steps leave things behind stops only if they take their processes with them."""
    if run.status == "needs_attention" and "died" not in run.attention:
        verdict.add("I11", "attention", f"{run.business}, for no good reason: {run.attention}")


def _strayed(run: _Run) -> bool:
    """Whether an attempt that had been given up succeeded late: an operator has been told."""
    return any("stray" in event[7] for event in run.events)


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
    """Whether a person is needed exactly where the seed, an honest doubt, or an operator says."""
    if run.status == "needs_attention" and not any(_reasons(run, fate)):
        verdict.add("I11", "attention", f"{run.business}, for no good reason: {run.attention}")
    if run.status == "resolved" and "resolve" not in {event[4] for event in run.events}:
        verdict.add("I11", "attention", f"{run.business} is resolved, and nobody said so")
    undo = run.step("backward", undone_last(run.saga)) if fate.stuck(run.business) else None
    if run.status == "compensated" and undo is not None and undo.status != "skipped":
        verdict.add("I11", "attention", f"{run.business} is compensated; {undo.name} cannot be")
    refused = run.step("forward", refused_step(fate, run.saga, run.business) or "")
    if run.status == "succeeded" and refused is not None and refused.status != "skipped":
        verdict.add("I11", "attention", f"{run.business} succeeded; its partner refuses a step")


def _reasons(run: _Run, fate: Fate) -> Iterator[bool]:
    """What a run may need a person for."""
    yield any(step.in_doubt for step in run.steps if step.status != "succeeded")
    yield _strayed(run)
    yield "died" in run.attention
    failed = {(step.direction, step.name) for step in run.steps if step.status == "failed"}
    yield fate.stuck(run.business) and ("backward", undone_last(run.saga)) in failed
    if run.saga.name == FORKED:
        yield fate.blocked(run.business) and bool(failed & {("forward", n) for n in BRANCHES})
        yield fate.broken(run.business) and run.step("backward", "a") is None


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


def by_invariant(verdict: Verdict) -> dict[str, list[str]]:
    """The violations of each invariant that is broken."""
    found: dict[str, list[str]] = defaultdict(list)
    for violation in verdict.violations:
        found[violation.split(":")[0]].append(violation)
    return dict(found)


def kinds() -> Iterator[str]:
    """The counts that must be zero, in the order in which they are told."""
    yield from (
        "lost",
        "stuck",
        "idle",
        "double",
        "missing",
        "orphan",
        "hanging",
        "order",
        "illegal",
    )
    yield from ("unclaimed", "unasked", "attention", "leaks")

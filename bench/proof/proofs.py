"""The proofs: each a claim, its command at full size, and the test that shows it small."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_PYTEST = (sys.executable, "-m", "pytest", "-q", "-s")
_CHAOS = (sys.executable, "manage.py", "chaos", "--runs=1000")


@dataclass(frozen=True, slots=True)
class Proof:
    """One claim at full size.

    Attributes:
        name: as ``make proof NAMES=...`` takes it.
        claim: what it shows, in a line.
        command: from the project's folder.
        small: the test, or the module of tests, that shows it in the suite; empty: none does.
        sizes: variables of the environment that make the command large.
        ends_with: the exit code that shows it; a mutant must make its checker fail.
    """

    name: str
    claim: str
    command: Sequence[str]
    small: str
    sizes: Mapping[str, str] = field(default_factory=dict)
    ends_with: int = 0


def _tests(name: str, claim: str, small: str, **sizes: str) -> Proof:
    """A test of the suite, in full size."""
    return Proof(name, claim, (*_PYTEST, small), small, sizes)


def _bench(name: str, claim: str, *arguments: str, small: str = "") -> Proof:
    return Proof(name, claim, (sys.executable, "-m", *arguments), small)


_STORIES = "tests/stories"
_CAMPAIGN = f"{_STORIES}/test_chaos.py"

PROOFS: Sequence[Proof] = (
    Proof(
        "chaos-redis",
        "1,000 runs under every fault: nothing lost, doubled, stuck or stranded",
        (*_CHAOS, "--seed=1"),
        _CAMPAIGN,
    ),
    Proof(
        "chaos-rabbitmq",
        "the same over RabbitMQ",
        (*_CHAOS, "--seed=2", "--broker=rabbitmq"),
        _CAMPAIGN,
    ),
    _tests(
        "chaos-seeds",
        "no campaign is passed or failed by luck: 20 seeds",
        f"{_CAMPAIGN}::test_every_fault_strikes_and_nothing_is_lost_doubled_or_stuck",
        CHAOS_SEEDS="20",
    ),
    *(
        Proof(
            f"chaos-mutant-{mutant}",
            f"an engine that is broken on purpose ({mutant}) is found out",
            (*_CHAOS[:-1], "--runs=100", "--seconds=30", "--seed=1", f"--mutant={mutant}"),
            _CAMPAIGN,
            ends_with=1,
        )
        for mutant in ("key", "start", "claim", "fence", "sweep", "repark")
    ),
    _tests(
        "orders",
        "500 orders with bad partners, each sent twice, end as the seed says",
        f"{_STORIES}/test_many_orders.py",
        ORDERS="500",
    ),
    _tests(
        "brokers",
        "50 starts while the broker is away for 60 s are accepted and end well",
        f"{_STORIES}/test_brokers.py",
        BROKER_DOWN_SECONDS="60",
        BROKER_STARTS="50",
    ),
    _tests(
        "model",
        "100,000 moves of runs and operators on the planner, by the lifecycle page; mutants fail",
        "tests/sagas/define/test_model.py",
        MODEL_EXAMPLES="2500",
    ),
    _tests(
        "neighbours",
        "one process serves 1,000 runs among all that other steps and tasks leave behind",
        f"{_STORIES}/test_neighbours.py",
        NEIGHBOURED_RUNS="1000",
    ),
    _tests(
        "snapshot",
        "a sweep's look costs the same under an old snapshot of 300,000 runs",
        "tests/sagas/run/test_recover.py",
        OLD_SNAPSHOT_RUNS="300000",
    ),
    _tests(
        "reading",
        "a run of 100 steps with 250 KB is read in at most twice the time of a small one",
        "tests/sagas/test_record.py",
    ),
    _tests(
        "migrations",
        "20,000 runs that moved to another version go on and undo all that was done",
        "tests/sagas/define/test_migrate.py",
        MIGRATIONS="20000",
    ),
    _tests(
        "exhausted",
        "engines without memory, connections or disk lose and double nothing",
        f"{_STORIES}/test_exhausted.py",
        EXHAUSTED_RUNS="100",
    ),
    _tests(
        "pooler",
        "300 runs behind PgBouncer in transaction mode",
        f"{_STORIES}/test_pooler.py",
        POOLED_RUNS="300",
    ),
    _tests(
        "silent-names",
        "a name server silent for 60 s costs 100 runs no worker process, and none needs attention",
        f"{_STORIES}/test_silent_names.py",
        SILENT_SECONDS="60",
        SILENT_RUNS="100",
    ),
    _tests(
        "quotas",
        "100 registrations wait for a quota of 30 s, and of a day: no attempt spent, none undone",
        f"{_STORIES}/test_quotas.py",
        QUOTA_RUNS="100",
        QUOTA_SECONDS="30",
    ),
    _tests(
        "floods",
        "40 slow bodies and 400 sign-ups a minute: healthz p99 at most 1 s, orders at most twice",
        f"{_STORIES}/test_floods.py",
        FLOOD_SECONDS="120",
    ),
    _tests(
        "tampering",
        "100 tamperings of what was anchored are found or refused; 100 clean worlds: no alarm",
        "tests/sagas/operate/test_tampering.py",
        TAMPERINGS="100",
        CLEAN_WORLDS="100",
    ),
    _bench(
        "partners",
        "breaker, isolation, rate, outage and adaptive limits",
        "bench.partners",
        small=f"{_STORIES}/test_outage.py",
    ),
    _bench(
        "webhooks",
        "10,000 events in 12,000 requests are each handled once",
        "bench.webhooks",
        small=f"{_STORIES}/test_webhooks.py",
    ),
    _bench("load", "the API and the shop under 20 users", "bench.load"),
    _bench("console", "the console's pages with 1,000,000 runs", "bench.console"),
    _bench("idle", "what a worker at rest asks of the database", "bench.idle"),
    _bench("engine", "the engine beside a bare chain and DBOS", "bench"),
    _bench(
        "fuzz-api",
        "whatever is sent to the API, it does as described",
        "tests.contract.fuzz",
        "api",
        small="tests/contract/test_api_fuzz.py",
    ),
    _bench(
        "fuzz-sandbox",
        "so do the partners' stand-ins",
        "tests.contract.fuzz",
        "sandbox",
        small="tests/contract/test_sandbox_fuzz.py",
    ),
    _bench("alone", "each test module passes in a process of its own", "tests.alone"),
)

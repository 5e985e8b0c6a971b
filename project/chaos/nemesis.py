"""Faults, seeded and logged, each again and again until the world is to be healed.

When each kind strikes is drawn from the seed by ``schedule``: every kind soon, in an order that is
shuffled, and then at its own pace. A strike that hit nothing is made again at once. Kinds that have
not had their effect when the others have, as on a slow machine, go on without them. So each strikes
in every campaign, whatever the seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import kombu
import psutil
import psycopg
import redis

from project.chaos.proxy import Fault
from project.chaos.world import CLIENTS, LEASE, SERVERS, WORKERS, ChaosWorld
from project.queues import DEFAULT_QUEUE

FIRST = 25.0  #: seconds within which every kind has its first turn
_AGAIN = 0.3  # pause before a strike that hit nothing is made again
_START = 8.0
_BEFORE_THE_WATCHDOG = 3.0
_RESPITE = 20.0  # that long, at most, it takes the one that wakes to answer
_LOOK = 0.05
_POINTS = "SELECT id, epoch, saga, version FROM sagas_run WHERE finished_at IS NULL LIMIT 50"
_LONG_STEPS = """
SELECT s.id, s.run_id::text, s.attempt, extract(epoch FROM s.limit_at - now())::float8
FROM sagas_step s JOIN sagas_run r ON r.id = s.run_id
WHERE s.status = 'in_flight' AND s.pid = ANY(%s) AND s.limit_at > now() + %s * interval '1 second'
  AND r.status = 'running' AND r.halt = '' AND NOT EXISTS (SELECT 1 FROM sagas_hold h
    WHERE h.lifted_at IS NULL AND h.kind = 'run' AND h.target = r.id::text)"""
_TAKEN_OVER = """
SELECT s.id FROM sagas_step s JOIN unnest(%s::bigint[], %s::int[]) AS m(id, attempt) ON m.id = s.id
WHERE s.attempt > m.attempt"""
_LATE_ANSWER = """
SELECT s.id FROM sagas_step s JOIN unnest(%s::bigint[], %s::int[]) AS m(id, attempt) ON m.id = s.id
JOIN sagas_event e ON (e.run_id, e.step, e.direction) = (s.run_id, s.name, s.direction)
  AND e.attempt = m.attempt AND e.data ? 'late_answer'"""
_END_HALF = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name <> 'chaos' AND random() < 0.5"""
_IN_FLIGHT = "SELECT pid FROM sagas_step WHERE status = 'in_flight'"
_STEPS = "SELECT name, direction FROM sagas_step WHERE run_id = %s"
_TASKS = {"forward": "sagas.step", "backward": "sagas.compensate"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault: how often it comes, in seconds, and how often it must at least have struck."""

    name: str
    every: float
    least: int
    what: str


#: All kinds, as docs/faults.md lists them.
KINDS = (
    Kind("child", 2, 5, "SIGKILL of a pool process (1, 35)"),
    Kind("worker", 20, 1, "SIGKILL of a whole worker (2)"),
    Kind("freeze", 20, 1, "SIGSTOP of a whole worker until it answers too late (5)"),
    Kind("flush", 10, 1, "the broker loses every message (7)"),
    Kind("broker-killed", 45, 1, "SIGKILL of the broker, started again (8, 13)"),
    Kind("broker-down", 35, 1, "no way to the broker for 7 s, once for 40 s (9)"),
    Kind("broker-stalled", 60, 1, "the broker accepts and is silent for 5 s (10)"),
    Kind("postgres", 20, 1, "immediate restart of PostgreSQL (16)"),
    Kind("backends", 5, 2, "terminated database sessions (16)"),
    Kind("reply", 1.5, 5, "the answer to a statement is lost (17)"),
    Kind("read-only", 60, 1, "PostgreSQL read-only for 3 s (19)"),
    Kind("connections", 45, 1, "every connection that PostgreSQL allows is taken for 4 s (21, 71)"),
    Kind("partition", 30, 1, "one edge cut, stalled or deaf for 6 s (22)"),
    Kind("neighbours", 2, 5, "another app's task leaves transactions, settings and more (49)"),
    Kind("duplicates", 1.5, 5, "a message three times, and out of order (23, 24)"),
)
NAMES = tuple(kind.name for kind in KINDS)
_LEAST = {kind.name: kind.least for kind in KINDS}


def schedule(kinds: Sequence[Kind], seed: int) -> dict[str, Iterator[float]]:
    """For each kind the pauses before its strikes, in seconds, without an end.

    The first strikes are dealt from a shuffled bag over the first ``FIRST`` seconds.
    """
    bag = list(kinds)
    random.Random(seed).shuffle(bag)
    slot = FIRST / max(len(bag), 1)
    return {kind.name: _pauses(kind, seed, place * slot, slot) for place, kind in enumerate(bag)}


def _pauses(kind: Kind, seed: int, begins: float, slot: float) -> Iterator[float]:
    chance = random.Random(f"{seed}:{kind.name}:pauses")
    yield begins + slot * chance.random()
    while True:
        yield kind.every * chance.uniform(0.5, 1.5)


class Nemesis:
    """Injects the chosen kinds until `heal`."""

    def __init__(self, world: ChaosWorld, kinds: tuple[str, ...], log: Callable[[str], None]):
        self._world = world
        self._kinds = [kind for kind in KINDS if kind.name in kinds]
        self._log = log
        self._end = threading.Event()
        self._last_round = threading.Event()
        self._threads: list[threading.Thread] = []
        self._database_lock = threading.Lock()
        self._long_done = False
        self._spared: set[int] = set()  # processes that are to wake
        self.injected: Counter[str] = Counter()

    def start(self) -> None:
        """Begin, with a thread for each kind."""
        for name, pauses in schedule(self._kinds, self._world.plan.seed).items():
            chance = random.Random(f"{self._world.plan.seed}:{name}")
            thread = threading.Thread(target=self._again, args=(name, pauses, chance), daemon=True)
            thread.start()
            self._threads.append(thread)

    def last_round(self) -> None:
        """From now on only those kinds strike that have not struck as often as they must."""
        self._last_round.set()

    def heal(self) -> None:
        """Stop, and take every fault away."""
        self._end.set()
        for thread in self._threads:
            thread.join()
        for edge in self._world.proxy.edges.values():
            self._world.proxy.set(edge, Fault.NONE)

    @property
    def vacuous(self) -> list[str]:
        """Kinds that came less often than they must."""
        return [
            f"{kind.name}: {self.injected[kind.name]} of at least {kind.least}"
            for kind in self._kinds
            if self._lacks(kind.name)
        ]

    def _lacks(self, name: str) -> bool:
        return self.injected[name] < _LEAST[name]

    def _again(self, name: str, pauses: Iterator[float], chance: random.Random) -> None:
        inject = getattr(self, "_" + name.replace("-", "_"))
        while not self._end.wait(next(pauses)):
            if self._last_round.is_set() and not self._lacks(name):
                return
            while not (said := self._struck(inject, chance)):
                if self._end.wait(_AGAIN):
                    return
            self.injected[name] += 1
            self._log(f"{name}: {said}")

    def _struck(self, inject: Callable[[random.Random], str], chance: random.Random) -> str:
        """What a strike did; empty: nothing, for what it was to hit is down or idle already."""
        try:
            return inject(chance)
        except (
            psutil.Error,
            psycopg.Error,
            OSError,
            redis.RedisError,
            kombu.exceptions.KombuError,
        ):
            return ""

    # --- processes -------------------------------------------------------------------------

    def _child(self, chance: random.Random) -> str:
        worker = chance.choice(WORKERS)
        busy = self._busy(worker)
        if not busy:
            return ""
        victim = chance.choice(busy)
        victim.kill()
        return f"{worker} {victim.pid}"

    def _worker(self, chance: random.Random) -> str:
        worker = chance.choice(WORKERS)
        main = self._world.main_process(worker)
        if main is None or self._spared or not self._busy(worker):
            return ""
        for process in [*main.children(recursive=True), main]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return worker

    def _busy(self, worker: str) -> list[psutil.Process]:
        """The processes of a worker that have a step in flight and may be killed."""
        main = self._world.main_process(worker)
        if main is None or not _grown(main):
            return []
        with self._world.connect() as database:
            flying = {pid for (pid,) in database.execute(_IN_FLIGHT).fetchall()}
        return [c for c in main.children() if c.pid in flying - self._spared and _grown(c)]

    def _freeze(self, chance: random.Random) -> str:
        """Freeze a worker that is at a long step until that is taken over, and it answers late.

        Until then nobody else strikes at what is to wake, or to take over. A step that may not take
        long is no use: by the time that it wakes, a watchdog has ended its process.
        """
        worker, other = chance.sample(WORKERS, 2)
        main, rescuer = self._world.main_process(worker), self._world.main_process(other)
        if main is None or rescuer is None or not (_grown(main) and _grown(rescuer)):
            return ""
        if not self._comes(lambda: self._long_steps(_family(main)), 1):
            return ""
        family = _family(main)
        self._spared = {process.pid for process in family}
        try:
            with _suspended(family):
                steps = self._long_steps(family)
                self._world.reserved = {run for _, run, *_ in steps}
                left = min((seconds for *_, seconds in steps), default=0) - _BEFORE_THE_WATCHDOG
                taken = self._comes(lambda: self._among(_TAKEN_OVER, steps), left)
            late = bool(taken) and self._comes(lambda: self._among(_LATE_ANSWER, steps), _RESPITE)
            return worker if late else ""
        finally:
            self._spared, self._world.reserved = set(), set()

    def _long_steps(self, family: list[psutil.Process]) -> list[Any]:
        """The attempts of these processes that may take long, of runs that nobody has stopped."""
        with self._world.connect() as database:
            pids = [process.pid for process in family]
            return database.execute(_LONG_STEPS, [pids, 2 * LEASE]).fetchall()

    def _among(self, query: str, steps: list[Any]) -> list[Any]:
        """Which of these attempts a query finds."""
        ids, _, attempts, _ = zip(*steps, strict=True)
        with self._world.connect() as database:
            return database.execute(query, [list(ids), list(attempts)]).fetchall()

    def _comes(self, look: Callable[[], list[Any]], seconds: float) -> list[Any]:
        """What a look gives, as soon as it gives something; nothing: it did not in that time."""
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at and not self._end.wait(_LOOK):
            with suppress(psycopg.Error):
                if found := look():
                    return found
        return []

    # --- broker ----------------------------------------------------------------------------

    def _flush(self, chance: random.Random) -> str:
        if self._world.plan.broker == "redis":
            with redis.Redis.from_url(self._world.broker.url(0), socket_timeout=3) as client:  # type: ignore[operator]
                lost = client.dbsize()
                client.flushdb()
                return f"{lost} keys" if lost else ""
        with kombu.Connection(str(self._world.broker.url), connect_timeout=3) as connection:
            channel: Any = connection.default_channel
            lost = channel.queue_purge(DEFAULT_QUEUE)
        return f"{lost} messages" if lost else ""

    def _broker_killed(self, chance: random.Random) -> str:
        name = "redis" if self._world.plan.broker == "redis" else "rabbitmq"
        return name if self._kill_group(name) else ""

    def _broker_down(self, chance: random.Random) -> str:
        seconds = 7.0 if self._long_done or self.injected["broker-down"] < 1 else 40.0
        self._long_done = self._long_done or seconds > 7
        for client in CLIENTS:
            self._world.proxy.set(self._world.edge(client, "broker"), Fault.CUT)
        self._end.wait(seconds)
        for client in CLIENTS:
            self._world.proxy.set(self._world.edge(client, "broker"), Fault.NONE)
        return f"{seconds:g} s"

    def _broker_stalled(self, chance: random.Random) -> str:
        edge = self._world.edge(chance.choice(CLIENTS), "broker")
        self._hold(edge.name, Fault.STALLED, 5)
        return edge.name

    def _duplicates(self, chance: random.Random) -> str:
        with self._world.connect() as database:
            runs = database.execute(_POINTS).fetchall()
            if not runs:
                return ""
            run_id, epoch, saga, version = chance.choice(runs)
            steps = database.execute(_STEPS, [run_id]).fetchall()
        chosen = chance.sample(steps, k=min(2, len(steps)))
        with kombu.Connection(self._direct_broker(), connect_timeout=3) as connection:
            for name, direction in chosen:
                arguments = [str(run_id), epoch, name, f"{saga}/{version}"]
                for _ in range(3):
                    _publish(connection, _TASKS[str(direction)], arguments)
        return f"{saga} {', '.join(str(name) for name, _ in chosen)}"

    def _neighbours(self, chance: random.Random) -> str:
        from project.chaos.flows.neighbours import DEEDS  # which registers a saga

        deed = chance.choice(sorted(DEEDS))
        with kombu.Connection(self._direct_broker(), connect_timeout=3) as connection:
            _publish(connection, "chaos.neighbour", [deed])
        return deed

    # --- database --------------------------------------------------------------------------

    def _postgres(self, chance: random.Random) -> str:
        with self._database_lock:
            guard = psutil.Process(self._world.supervisor.pid("postgres"))
            for server in guard.children():
                server.send_signal(signal.SIGQUIT)
                self._end.wait(2)
                return "SIGQUIT"
        return ""  # it is being started

    def _backends(self, chance: random.Random) -> str:
        with self._world.connect() as database:
            ended: Any = database.execute(_END_HALF).fetchone()
        return f"{ended[0]} sessions" if ended[0] else ""

    def _reply(self, chance: random.Random) -> str:
        edge = self._world.edge(chance.choice(WORKERS), "postgres")
        before = edge.lost_replies
        self._world.proxy.lose_reply(edge)
        self._end.wait(1)
        return edge.name if edge.lost_replies > before else ""

    def _read_only(self, chance: random.Random) -> str:
        with self._database_lock:
            try:
                self._set_read_only("on")
                self._end.wait(3)
            finally:
                self._writable_again()
        return "3 s"

    def _writable_again(self) -> None:
        for _ in range(20):
            try:
                self._set_read_only("off")
                return
            except psycopg.Error:
                time.sleep(0.5)

    def _set_read_only(self, value: str) -> None:
        with self._world.connect() as database:
            database.execute("SET default_transaction_read_only = off")
            database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            database.execute("SELECT pg_reload_conf()")

    def _connections(self, chance: random.Random) -> str:
        ends_at = time.monotonic() + 30
        refused = False
        with self._database_lock, ExitStack() as taken:
            while time.monotonic() < ends_at and not self._end.is_set():
                try:
                    database = taken.enter_context(self._world.connect())
                except psycopg.OperationalError as error:
                    if not refused and "too many clients" in str(error):
                        refused, ends_at = True, time.monotonic() + 4
                        database.execute(_END_HALF)  # they find no room when they come back
                    self._end.wait(0.05)
        return "4 s" if refused else ""

    # --- network ---------------------------------------------------------------------------

    def _partition(self, chance: random.Random) -> str:
        client = chance.choice(WORKERS)
        fault = chance.choice([Fault.CUT, Fault.STALLED, Fault.DEAF])
        edge = self._world.edge(client, chance.choice(SERVERS))
        self._hold(edge.name, fault, 6)
        return f"{edge.name} {fault.name.lower()}"

    def _hold(self, name: str, fault: Fault, seconds: float) -> None:
        edge = self._world.proxy.edges[name]
        self._world.proxy.set(edge, fault)
        self._end.wait(seconds)
        self._world.proxy.set(edge, Fault.NONE)

    def _kill_group(self, name: str) -> int:
        """SIGKILL of what runs under a guard; the supervisor starts it again. Gives how many."""
        killed = psutil.Process(self._world.supervisor.pid(name)).children(recursive=True)
        for process in killed:
            with suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)
        return len(killed)

    def _direct_broker(self) -> str:
        broker = self._world.broker
        return broker.url(0) if self._world.plan.broker == "redis" else str(broker.url)  # type: ignore[operator]


def _grown(process: psutil.Process) -> bool:
    """Whether a process may be killed: past its start, alive, and not one that is to wake later.

    Celery gives up a worker that loses a child before it is ready.
    """
    young = time.time() - process.create_time() <= _START
    return not young and process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)


def _family(main: psutil.Process) -> list[psutil.Process]:
    """A worker's processes, without those that are just being started."""
    return [main, *filter(_grown, main.children(recursive=True))]


@contextmanager
def _suspended(processes: list[psutil.Process]) -> Iterator[None]:
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _publish(connection: kombu.Connection, task: str, arguments: list[object]) -> None:
    """A message as Celery's protocol 2 writes it, past every exchange to the default queue."""
    identity = str(random.getrandbits(128))
    headers = {
        "lang": "py",
        "task": task,
        "id": identity,
        "root_id": identity,
        "parent_id": None,
        "group": None,
        "ignore_result": True,
    }
    body = json.dumps(
        [arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    )
    connection.Producer().publish(
        body,
        exchange="",
        routing_key=DEFAULT_QUEUE,
        headers=headers,
        content_type="application/json",
        content_encoding="utf-8",
        correlation_id=identity,
    )

"""Faults, seeded and logged, each again and again until the world is to be healed."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import kombu
import psutil
import psycopg
import redis

from project.chaos.proxy import Fault
from project.chaos.world import CLIENTS, SERVERS, WORKERS, ChaosWorld
from project.queues import DEFAULT_QUEUE

_START = 8.0
_POINTS = "SELECT id, epoch, saga, version FROM sagas_run WHERE finished_at IS NULL LIMIT 50"
_LONG_STEP = """
SELECT 1 FROM sagas_step s JOIN sagas_worker w ON w.name = s.worker
WHERE s.status = 'in_flight' AND w.pid = %s AND s.limit_at > now() + interval '20 seconds'"""
_STEPS = "SELECT name, direction FROM sagas_step WHERE run_id = %s"
_TASKS = {"forward": "sagas.step", "backward": "sagas.compensate"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault: how often it comes, in seconds, and how often it must at least have come."""

    name: str
    every: float
    least: int
    what: str


#: All kinds, as docs/faults.md lists them.
KINDS = (
    Kind("child", 2, 5, "SIGKILL of a pool process (1, 35)"),
    Kind("worker", 15, 1, "SIGKILL of a whole worker (2)"),
    Kind("freeze", 15, 1, "SIGSTOP of a whole worker for 15 s, beyond its lease (5)"),
    Kind("flush", 10, 1, "the broker loses every message (7)"),
    Kind("broker-killed", 45, 1, "SIGKILL of the broker, started again (8, 13)"),
    Kind("broker-down", 35, 1, "no way to the broker for 7 s, once for 40 s (9)"),
    Kind("broker-stalled", 60, 1, "the broker accepts and is silent for 5 s (10)"),
    Kind("postgres", 20, 1, "immediate restart of PostgreSQL (16)"),
    Kind("backends", 5, 2, "terminated database sessions (16)"),
    Kind("reply", 1.5, 5, "the answer to a statement is lost (17)"),
    Kind("read-only", 60, 1, "PostgreSQL read-only for 3 s (19)"),
    Kind("partition", 30, 1, "one edge cut, stalled or deaf for 6 s (22)"),
    Kind("duplicates", 1.5, 5, "a message three times, and out of order (23, 24)"),
)
NAMES = tuple(kind.name for kind in KINDS)


class Nemesis:
    """Injects the chosen kinds until `heal`."""

    def __init__(self, world: ChaosWorld, kinds: tuple[str, ...], log: Callable[[str], None]):
        self._world = world
        self._kinds = [kind for kind in KINDS if kind.name in kinds]
        self._random = random.Random(world.plan.seed)
        self._log = log
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []
        self._database_lock = threading.Lock()
        self._long_done = False
        self.injected: Counter[str] = Counter()

    def start(self) -> None:
        """Begin, with a thread for each kind."""
        for kind in self._kinds:
            chance = random.Random(f"{self._world.plan.seed}:{kind.name}")
            thread = threading.Thread(target=self._again, args=(kind, chance), daemon=True)
            thread.start()
            self._threads.append(thread)

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
            if self.injected[kind.name] < kind.least
        ]

    def _again(self, kind: Kind, chance: random.Random) -> None:
        inject = getattr(self, "_" + kind.name.replace("-", "_"))
        while not self._end.wait(kind.every * chance.uniform(0.5, 1.5)):
            try:
                said = inject(chance)
            except (
                psutil.Error,
                psycopg.Error,
                OSError,
                redis.RedisError,
                kombu.exceptions.KombuError,
            ):
                continue  # what it was to hit is down already
            if said:
                self.injected[kind.name] += 1
                self._log(f"{kind.name}: {said}")

    # --- processes -------------------------------------------------------------------------

    def _child(self, chance: random.Random) -> str:
        worker = chance.choice(WORKERS)
        main = self._world.main_process(worker)
        children = [c for c in main.children() if _grown(c)] if main and _grown(main) else []
        if not children:
            return ""
        victim = chance.choice(children)
        victim.kill()
        return f"{worker} {victim.pid}"

    def _worker(self, chance: random.Random) -> str:
        worker = chance.choice(WORKERS)
        main = self._world.main_process(worker)
        if main is None or not _grown(main):
            return ""
        for process in [*main.children(recursive=True), main]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return worker

    def _freeze(self, chance: random.Random) -> str:
        worker = chance.choice(WORKERS)
        main = self._world.main_process(worker)
        if main is None:
            return ""
        self._await_a_step(main.pid)
        frozen = [main, *main.children(recursive=True)]
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        self._end.wait(15)
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        return worker

    def _await_a_step(self, pid: int) -> None:
        """Until a worker is in a step that would still be allowed to answer when it wakes."""
        with self._world.connect() as database:
            for _ in range(100):
                if database.execute(_LONG_STEP, [pid]).fetchone() or self._end.wait(0.03):
                    return

    # --- broker ----------------------------------------------------------------------------

    def _flush(self, chance: random.Random) -> str:
        if self._world.plan.broker == "redis":
            with redis.Redis.from_url(self._world.broker.url(0), socket_timeout=3) as client:  # type: ignore[operator]
                lost = client.dbsize()
                client.flushdb()
                return f"{lost} keys"
        with kombu.Connection(str(self._world.broker.url), connect_timeout=3) as connection:
            channel: Any = connection.default_channel
            lost = channel.queue_purge(DEFAULT_QUEUE) or 0
        return f"{lost} messages"

    def _broker_killed(self, chance: random.Random) -> str:
        name = "redis" if self._world.plan.broker == "redis" else "rabbitmq"
        self._kill_group(name)
        return name

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

    # --- database --------------------------------------------------------------------------

    def _postgres(self, chance: random.Random) -> str:
        with self._database_lock:
            child = psutil.Process(self._world.supervisor.pid("postgres")).children()
            child[0].send_signal(signal.SIGQUIT)
            self._end.wait(2)
        return "SIGQUIT"

    def _backends(self, chance: random.Random) -> str:
        with self._world.connect() as database:
            ended = database.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() "
                "AND random() < 0.5"
            ).fetchone()
        return f"{ended[0]} sessions" if ended and ended[0] else ""

    def _reply(self, chance: random.Random) -> str:
        edge = self._world.edge(chance.choice(WORKERS), "postgres")
        before = edge.lost_replies
        self._world.proxy.lose_reply(edge)
        self._end.wait(1)
        return edge.name if edge.lost_replies > before else ""

    def _read_only(self, chance: random.Random) -> str:
        with self._database_lock:
            self._set_read_only("on")
            self._end.wait(3)
            for _ in range(20):
                try:
                    self._set_read_only("off")
                    break
                except psycopg.Error:
                    time.sleep(0.5)
        return "3 s"

    def _set_read_only(self, value: str) -> None:
        with self._world.connect() as database:
            database.execute("SET default_transaction_read_only = off")
            database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            database.execute("SELECT pg_reload_conf()")

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

    def _kill_group(self, name: str) -> None:
        """SIGKILL of what runs under a guard; the supervisor starts it again."""
        for process in psutil.Process(self._world.supervisor.pid(name)).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                os.kill(process.pid, signal.SIGKILL)

    def _direct_broker(self) -> str:
        broker = self._world.broker
        return broker.url(0) if self._world.plan.broker == "redis" else str(broker.url)  # type: ignore[operator]


def _grown(process: psutil.Process) -> bool:
    """Whether a process may be killed: past its start, and not one that is to wake as a zombie.

    Celery gives up a worker that loses a child before it is ready.
    """
    young = time.time() - process.create_time() <= _START
    return not young and process.status() != psutil.STATUS_STOPPED


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

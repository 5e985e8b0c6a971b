"""A private world: engines, partner, web and two workers, each behind a door of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import parse_qs, quote, urlsplit

import psutil
import psycopg

from project.chaos.ledger import Ledger
from project.chaos.proxy import Edge, Proxy
from project.chaos.rabbitmq import RabbitMQ
from project.child import Program
from project.engines.postgres import Postgres
from project.engines.redis import Redis
from project.probe import answers
from project.queues import WORKER_GROUPS
from project.supervisor import Supervisor
from project.world import GUNICORN

WORKERS = ("one", "two")
CLIENTS = (*WORKERS, "web")
SERVERS = ("postgres", "broker", "partner")
LEASE = 5.0
SWEEP = 1.0
_ROOT = Path(__file__).resolve().parents[2]
_SAGAS = {
    "LEASE_SECONDS": LEASE,
    "SWEEP_SECONDS": SWEEP,
    "RESEND_SECONDS": 3,
    "GRACE_SECONDS": 0.5,
    "API_WRITES_PER_MINUTE": 1_000_000,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: set by the command line."""

    seed: int
    broker: str
    processes: int
    mutant: str = ""
    results: str = "{}"


class ChaosWorld:
    """Everything that a campaign runs, under `var`. A context manager that ends all of it."""

    def __init__(self, var: Path, plan: Plan, echo: IO[str]) -> None:
        self.var = var
        self.plan = plan
        self.supervisor = Supervisor(echo)
        self.proxy = Proxy()
        self.address = ""  # the site's
        self.token = ""
        self.database = ""  # past the proxy
        self.broker: Redis | RabbitMQ
        self.broker_address = ("", 0)  # past the proxy
        self.messages = var / "messages.log"
        self.reserved: set[str] = set()  # runs that operators leave alone for now
        self.ledger: Ledger
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.proxy)
            undo.callback(self.supervisor.stop)
            self._start_engines(undo)
            self._start_partner()
            self._make_login()
            for name in WORKERS:
                self._run(name, _worker(name, self.plan.processes), _COLD)
            self._start_web()
            self._cleanup = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def edge(self, client: str, server: str) -> Edge:
        """The door through which that client reaches that server."""
        return self.proxy.edges[f"{client}-{server}"]

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of our own to the database, past the proxy."""
        return psycopg.connect(
            self.database, autocommit=True, connect_timeout=3, application_name="chaos"
        )

    def environment(self, client: str) -> dict[str, str]:
        """What that client's processes run with."""
        ports = {server: self.edge(client, server).port for server in SERVERS}
        redis = f"redis://{self._redis_login()}127.0.0.1:{ports['broker']}"
        amqp = f"amqp://guest:guest@127.0.0.1:{ports['broker']}//"
        return {
            **_inherited(),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "project.chaos.settings",
            "DATABASE_URL": f"postgresql://postgres@127.0.0.1:{ports['postgres']}/postgres",
            "BROKER_URL": f"{redis}/0" if self.plan.broker == "redis" else amqp,
            "REDIS_URL": self._cache.url(1),
            "SAGAS": json.dumps(_SAGAS),
            "CHAOS_PARTNER": f"http://127.0.0.1:{ports['partner']}",
            "CHAOS_SEED": str(self.plan.seed),
            "CHAOS_MUTANT": self.plan.mutant,
            "CHAOS_RESULTS": self.plan.results,
            "CHAOS_MESSAGES": str(self.messages),
        }

    def main_process(self, worker: str) -> psutil.Process | None:
        """A worker's main process, or None while it is being started."""
        try:
            group = psutil.Process(self.supervisor.pid(worker)).children()
        except psutil.NoSuchProcess:
            return None
        return next((p for p in group if p.is_running()), None)

    def _start_engines(self, undo: ExitStack) -> None:
        postgres, self._cache = Postgres(self.var / "postgres"), Redis(self.var / "redis")
        undo.callback(postgres.forget)
        path = {"PATH": os.environ.get("PATH", os.defpath)}
        for engine in (postgres, self._cache):
            log = self.var / f"{engine.name}.log"
            program = Program(engine.name, engine.command, path, log, engine.stop_signal, 30.0)
            self.supervisor.start(program)
            self.supervisor.wait_ready(engine.name, engine.ready)
        self.database = postgres.url
        folder = parse_qs(urlsplit(postgres.url).query)["host"][0]
        upstream: dict[str, str | tuple[str, int]] = {"postgres": f"{folder}/.s.PGSQL.5432"}
        upstream["broker"] = self.broker_address = self._start_broker()
        upstream["partner"] = ("127.0.0.1", _free_port())
        for client in CLIENTS:
            for server in SERVERS:
                self.proxy.open(f"{client}-{server}", upstream[server])
        self._partner_port = upstream["partner"][1]

    def _start_broker(self) -> tuple[str, int]:
        if self.plan.broker == "redis":
            self.broker = self._cache
            where = urlsplit(self._cache.url(0))
            assert where.hostname
            assert where.port
            return where.hostname, where.port
        self.broker = RabbitMQ(self.var / "rabbitmq")
        program = Program(
            "rabbitmq",
            self.broker.command,
            self.broker.environment,
            self.var / "rabbitmq.log",
            grace=30.0,
        )
        self.supervisor.start(program)
        self.supervisor.wait_ready("rabbitmq", self.broker.ready, 120)
        return self.broker.address

    def _start_partner(self) -> None:
        ledger, port = self.var / "partner.sqlite3", int(self._partner_port)
        command = [sys.executable, "-m", "project.chaos.partner", f"--port={port}"]
        command += [f"--ledger={ledger}", f"--seed={self.plan.seed}"]
        self.supervisor.start(Program("partner", command, _inherited()))
        self.supervisor.wait_ready("partner", lambda: _listens(port))
        self.ledger = Ledger(ledger)

    def _make_login(self) -> None:
        self._manage("migrate", "--verbosity=0")
        self._manage("createsuperuser", "--noinput", "--username=chaos", "--email=c@example.com")
        self.token = self._manage("sagas", "token", "chaos").split()[-1]

    def _start_web(self) -> None:
        port = _free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._run("web", [*GUNICORN, "--threads=16", f"--bind=127.0.0.1:{port}"], {})
        self.supervisor.wait_ready(
            "web", lambda: answers(f"{self.address}/readyz", self.environment("web")), 120
        )

    def _run(self, client: str, command: list[str], more: Mapping[str, str]) -> None:
        self.supervisor.start(Program(client, command, {**self.environment(client), **more}))

    def _manage(self, *arguments: str) -> str:
        environment = {**self.environment("web"), "DJANGO_SUPERUSER_PASSWORD": os.urandom(16).hex()}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=_ROOT,
            env=environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout

    def _redis_login(self) -> str:
        where = urlsplit(self._cache.url(0))
        return f":{quote(where.password or '', safe='')}@"


_COLD = {"REMAP_SIGTERM": "SIGQUIT"}  # at the end nobody waits for what is left


def _worker(name: str, processes: int) -> list[str]:
    queues = ",".join(queue for group in WORKER_GROUPS.values() for queue in group)
    return [
        *(sys.executable, "-m", "celery", "--app=project.celery", "--quiet", "worker"),
        *(f"--hostname={name}@%h", f"--queues={queues}", f"--concurrency={processes}"),
        *("--loglevel=WARNING", "--without-gossip", "--without-mingle"),
    ]


def _inherited() -> dict[str, str]:
    """Ours, without what would lead to anybody else's engines and partners."""
    private = ("INTEGRATIONS_", "SAGAS", "CHAOS_", "SENTRY_", "DJANGO_")
    named = {*("DATABASE_URL", "BROKER_URL", "REDIS_URL", "REDIS_PREFIX", "ENVIRONMENT")}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in named and not name.startswith(private)
    }


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Starts the engines that the environment does not name, under a supervisor, and stops them."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from project.child import Program
from project.engines.lease import Lease
from project.engines.postgres import Postgres
from project.engines.redis import Redis
from project.supervisor import Supervisor

#: The variables that name the engines.
NAMES = ("DATABASE_URL", "BROKER_URL", "REDIS_URL")


class Engines:
    """The engines under `var` that `named` (the environment) gives no address for.

    Raises EnginesBusy when another process runs them, ChildFailed when one does not start.
    """

    def __init__(self, var: Path, named: Mapping[str, str], supervisor: Supervisor) -> None:
        #: The addresses of those started, by variable name; empty when all are outside ones.
        self.addresses: dict[str, str] = {}
        self._var = var
        self._supervisor = supervisor
        missing = {name for name in NAMES if not named.get(name)}
        with ExitStack() as undo:
            if missing:
                self._start(missing, undo)
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """Stop them and let others start them."""
        self._undo.close()

    def _start(self, missing: set[str], undo: ExitStack) -> None:
        lease = Lease(self._var)
        undo.callback(lease.release)
        if "DATABASE_URL" in missing:
            self._start_postgres(lease, undo)
        if missing & {"BROKER_URL", "REDIS_URL"}:
            self._start_redis(missing, lease, undo)
        lease.publish(self.addresses)

    def _start_postgres(self, lease: Lease, undo: ExitStack) -> None:
        postgres = Postgres(self._var / "postgres")
        undo.callback(postgres.forget)
        self._run(postgres, lease, undo)
        self.addresses["DATABASE_URL"] = postgres.url

    def _start_redis(self, missing: set[str], lease: Lease, undo: ExitStack) -> None:
        redis = Redis(self._var / "redis")
        self._run(redis, lease, undo)
        urls = {"BROKER_URL": redis.url(0), "REDIS_URL": redis.url(1)}
        self.addresses |= {name: url for name, url in urls.items() if name in missing}

    def _run(self, engine: Postgres | Redis, lease: Lease, undo: ExitStack) -> None:
        self._supervisor.start(self._program(engine, lease))
        undo.callback(self._supervisor.stop, engine.name)
        self._supervisor.wait_ready(engine.name, engine.ready)

    def _program(self, engine: Postgres | Redis, lease: Lease) -> Program:
        return Program(
            name=engine.name,
            command=engine.command,
            environment={"PATH": os.environ.get("PATH", os.defpath)},
            log=self._var / f"{engine.name}.log",
            stop_signal=engine.stop_signal,
            grace=30.0,
            remove=engine.outside,
            keep_open=(lease.descriptor,),
        )

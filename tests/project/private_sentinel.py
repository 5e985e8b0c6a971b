"""A Redis Sentinel of a test's own that watches a master and its replica."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis import Redis as Client
from redis.exceptions import RedisError

from project.engines import binaries
from tests.project.processes import until

MASTER = "main"
_PASSWORD = "for-a-test"


class Sentinel:
    """Two Redis servers, and one Sentinel whose word is enough to change their roles."""

    def __init__(self, directory: Path, undo: ExitStack) -> None:
        self._directory = directory
        self._undo = undo
        first, second, self._port = (_free_port() for _ in range(3))
        common = [f"requirepass {_PASSWORD}", f"masterauth {_PASSWORD}", 'save ""', "appendonly no"]
        replica = [f"replicaof 127.0.0.1 {first}", "repl-diskless-sync-delay 0"]
        self._servers = {
            first: self._start("first", first, common),
            second: self._start("second", second, [*common, *replica]),
        }
        until(lambda: self._replicates(second), "the replica follows")
        watch = [
            f"sentinel monitor {MASTER} 127.0.0.1 {first} 1",
            f"sentinel auth-pass {MASTER} {_PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} 1000",
            f"sentinel failover-timeout {MASTER} 10000",
        ]
        self._start("sentinel", self._port, watch, "--sentinel")
        until(self._knows_the_replica, "the Sentinel knows the replica")

    @property
    def url(self) -> str:
        """The broker's address: two Sentinels, of which the first never answers."""
        nobody = _free_port()
        there = f"127.0.0.1:{self._port}"
        return f"sentinel://:{_PASSWORD}@127.0.0.1:{nobody}/0;sentinel://{there}"

    def master(self) -> int:
        """The port of the one that takes writes, as the Sentinel says."""
        with self._client(self._port, None) as client:
            answer: Any = client.execute_command("SENTINEL", "MASTERS")
            (state,) = answer if isinstance(answer, list) else answer.values()
            return int(state["port"])

    def kill_master(self) -> None:
        """End the master as a crash does; return once the replica has taken its place."""
        master = self.master()
        self._servers[master].kill()
        until(lambda: self.master() != master, "the Sentinel names another master")
        until(lambda: self._writable(self.master()), "the new master takes writes")

    def set_policy(self, policy: str) -> None:
        """What the master does when its memory is full."""
        with self._client(self.master()) as client:
            client.config_set("maxmemory-policy", policy)

    def _start(self, name: str, port: int, lines: list[str], *options: str) -> Any:
        folder = self._directory / name
        folder.mkdir(parents=True)
        configuration = folder / "redis.conf"
        common = ["bind 127.0.0.1", f"port {port}", f'dir "{folder}"']
        configuration.write_text("".join(f"{line}\n" for line in [*common, *lines]))
        process = subprocess.Popen(
            [binaries.redis_server(), str(configuration), *options], stdout=subprocess.DEVNULL
        )
        self._undo.callback(process.wait)
        self._undo.callback(process.send_signal, signal.SIGKILL)
        password = None if options else _PASSWORD
        until(lambda: self._answers(port, password), f"{name} answers")
        return process

    def _client(self, port: int, password: str | None = _PASSWORD) -> Client:
        return Client(port=port, password=password, socket_timeout=2, decode_responses=True)

    def _answers(self, port: int, password: str | None) -> bool:
        try:
            with self._client(port, password) as client:
                return bool(client.ping())
        except RedisError:
            return False

    def _replicates(self, port: int) -> bool:
        with self._client(port) as client:
            return bool(client.info("replication").get("master_link_status") == "up")

    def _writable(self, port: int) -> bool:
        with self._client(port) as client:
            return bool(client.info("replication")["role"] == "master")

    def _knows_the_replica(self) -> bool:
        with self._client(self._port, None) as client:
            return bool(client.execute_command("SENTINEL", "REPLICAS", MASTER))


@contextmanager
def private_sentinel(directory: Path) -> Iterator[Sentinel]:
    """A Sentinel with its servers in `directory`, gone after the block."""
    with ExitStack() as undo:
        yield Sentinel(directory, undo)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""`python -m bench.resilience`: what the policies around a call cost, as a ratio to a bare client.

One process asks a server on loopback over a kept connection: bare, and guarded by all policies with
a closed breaker, free places and no limit to the rate. Rounds of both alternate. A partner that
answers at once shows the cost at its worst; one that takes a while, what it matters.
"""

from __future__ import annotations

import argparse
import os
import socketserver
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from redis import Redis

from project.engines import Engines
from project.supervisor import Supervisor

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_TAKES = (0.0, 0.02, 0.1)  # seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.resilience", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="of each (default 9)")
    parser.add_argument("--calls", type=int, default=300, help="in a round (default 300)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    with tempfile.TemporaryDirectory(prefix="resilience-") as folder:
        engines = Engines(Path(folder), os.environ, Supervisor())
        try:
            os.environ |= engines.addresses | {
                "DJANGO_SETTINGS_MODULE": "project.settings",
                "INTEGRATIONS_PRIVATE_HOSTS": "127.0.0.1",
                "REDIS_PREFIX": f"bench:{os.getpid()}:",
            }
            with _server() as address:
                _measure(address, asked.rounds, asked.calls)
            _forget_keys()
        finally:
            engines.stop()


def serve() -> None:
    """Answer every request after the seconds that its path names; print where, first."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        print("http://{}:{}".format(*server.server_address), flush=True)
        server.serve_forever()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        while line := self.rfile.readline():
            seconds = float(line.split()[1].strip(b"/"))
            while self.rfile.readline().strip():
                pass
            if seconds:
                time.sleep(seconds)
            self.wfile.write(_ANSWER)


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "bench.resilience", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def _forget_keys() -> None:
    """Leave nothing behind in a Redis that others use too."""
    with Redis.from_url(os.environ["REDIS_URL"]) as client:
        for key in client.scan_iter(f"{os.environ['REDIS_PREFIX']}*"):
            client.delete(key)


def _measure(address: str, rounds: int, calls: int) -> None:
    trips = _round_trips(lambda: _guarded(address, 0.0))
    print(f"One call over loopback, median of {rounds} rounds; {trips} round trips to Redis each.")
    print(f"{'partner takes':>14}{'bare':>12}{'guarded':>12}{'difference':>12}  ratio")
    for seconds in _TAKES:
        count = calls if not seconds else max(10, calls // 10)
        pairs = [
            (_time(_bare, address, seconds, count), _time(_guarded, address, seconds, count))
            for _ in range(rounds + 1)
        ][1:]  # the first one warms up
        bare, full = (median(pair[side] for pair in pairs) for side in (0, 1))
        ratios = sorted(full / bare for bare, full in pairs)
        print(
            f"{seconds * 1000:>11.0f} ms{bare * 1000:>9.2f} ms{full * 1000:>9.2f} ms"
            f"{(full - bare) * 1000:>9.2f} ms  {median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def _time(ask: Callable[[str, float], None], address: str, seconds: float, count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        ask(address, seconds)
    return (time.perf_counter() - began) / count


def _bare(address: str, seconds: float) -> None:
    from integrations import egress
    from integrations.http import pool

    with (
        egress.until(time.monotonic() + 10),
        pool.client().stream("GET", f"{address}/{seconds}", timeout=10) as answer,
    ):
        b"".join(answer.iter_raw())


def _guarded(address: str, seconds: float) -> None:
    from integrations import http
    from integrations.call import Call

    http.send(Call.within(10, "bench", "find", writes=False), "GET", f"{address}/{seconds}")


def _round_trips(ask: Callable[[], None]) -> int:
    """How many requests to Redis one call makes, once it is connected."""
    from redis.connection import Connection

    ask()
    sent, send = 0, Connection.send_packed_command

    def counted(self: Connection, *args: object, **more: object) -> object:
        nonlocal sent
        sent += 1
        return send(self, *args, **more)  # type: ignore[no-untyped-call]

    Connection.send_packed_command = counted  # type: ignore[assignment,method-assign]
    try:
        ask()
    finally:
        Connection.send_packed_command = send  # type: ignore[method-assign]
    return sent


if __name__ == "__main__":
    main()

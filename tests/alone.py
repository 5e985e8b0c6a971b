"""``python -m tests.alone``: run each test module in a process of its own; say how long it took.

A test that only passes after others have run (they warmed a cache, made a connection, registered a
saga) passes in the suite and fails whoever runs it by name. The engines are started once, and each
of the processes that run side by side keeps a test database for its modules: only the process is
new.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from project.engines import Engines
from project.supervisor import Supervisor

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Ran:
    """One module's run: its path, its exit code, its seconds, and what it printed."""

    module: str
    code: int
    seconds: float
    output: str


def modules(places: Iterable[str]) -> list[str]:
    """The test modules in files and folders, by path; the slow stories first.

    Raises:
        SystemExit: a place does not exist, or there is no module in it.
    """
    found: set[Path] = set()
    for place in places:
        path = Path(place)
        here = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
        if not here:
            raise SystemExit(f"There is no test module in {place}.")
        found.update(here)
    return [str(path) for path in sorted(found, key=lambda p: ("stories" not in p.parts, str(p)))]


def run_all(paths: Sequence[str], jobs: int) -> list[Ran]:
    """Run the modules, so many at a time."""
    with tempfile.TemporaryDirectory(prefix="alone-", ignore_cleanup_errors=True) as folder:
        engines = Engines(Path(folder), os.environ, Supervisor())
        environment = {**os.environ, **engines.addresses}
        slots: SimpleQueue[int] = SimpleQueue()
        for slot in range(jobs):
            _make_database(environment["DATABASE_URL"], f"alone_{slot}")
            slots.put(slot)

        def one(path: str) -> Ran:
            slot = slots.get()
            try:
                ran = _run(path, _on_database(environment, f"alone_{slot}"))
            finally:
                slots.put(slot)
            print("." if ran.code == 0 else f"\nFAILED {ran.module}\n", end="", flush=True)
            return ran

        try:
            with ThreadPoolExecutor(jobs) as threads:
                return list(threads.map(one, paths))
        finally:
            engines.stop()


def report(ran: Sequence[Ran], seconds: float) -> str:
    """What failed, with its output; the slowest; and the sum."""
    failed = [one for one in ran if one.code]
    lines = [f"\n===== {one.module} (exit {one.code})\n{one.output}" for one in failed]
    slowest = sorted(ran, key=lambda one: -one.seconds)[:5]
    lines += ["", *(f"{one.seconds:7.1f} s  {one.module}" for one in slowest)]
    lines += [f"{len(ran)} modules, each in a process of its own, in {seconds:.0f} s."]
    lines += [f"{len(ran) - len(failed)} passed, {len(failed)} failed"]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Run as the command line says; 1 if a module failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.alone", description=__doc__)
    parser.add_argument("places", nargs="*", default=["tests"], help="files or folders")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    ran = run_all(modules(asked.places), max(1, asked.jobs))
    print(report(ran, time.monotonic() - began))
    return int(any(one.code for one in ran))


def _run(path: str, environment: dict[str, str]) -> Ran:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--reuse-db", path],
        cwd=_ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return Ran(path, done.returncode, time.monotonic() - began, done.stdout)


def _make_database(url: str, name: str) -> None:
    """The database that the modules of a slot are told of: some connect to it by themselves."""
    with (
        psycopg.connect(url, autocommit=True) as connection,
        suppress(psycopg.errors.DuplicateDatabase),  # of an earlier time, on a server that stays
    ):
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _on_database(environment: dict[str, str], name: str) -> dict[str, str]:
    """The environment with a database of that name, which pytest-django puts ``test_`` before."""
    address = urlsplit(environment["DATABASE_URL"])._replace(path=f"/{name}")
    return {**environment, "DATABASE_URL": address.geturl()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

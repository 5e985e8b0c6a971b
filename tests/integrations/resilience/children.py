"""Processes that all ask a partner at the same moment, as workers do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import Any

from django.conf import settings
from redis import Redis

from integrations.call import Call
from integrations.errors import NotAsked
from integrations.resilience import store

_PATIENCE = 60.0


class Children:
    """So many processes with so many threads each, ready to ask. They end with the block."""

    def __init__(self, processes: int, *, threads: int = 1) -> None:
        self._processes, self._threads = processes, threads
        self._stack = ExitStack()
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Children:
        for _ in range(self._processes):
            child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                env={**os.environ, "REDIS_PREFIX": settings.REDIS_PREFIX},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._stack.callback(_end, child)
            self._started.append(child)
        for child in self._started:
            assert _told(child) == "ready"
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def ask_until_all_have(self, *, passing: int = 1) -> int:
        """All ask; who gets through is answered once all others were refused. How many did.

        Args:
            passing: how many should.
        """
        refused = self._processes * self._threads - passing
        return sum(self._tell({"do": "once", "threads": self._threads, "refused": refused}))

    def ask_for(self, seconds: float) -> int:
        """All ask again and again. How many calls got through."""
        return sum(self._tell({"do": "often", "threads": self._threads, "seconds": seconds}))

    def hold_a_place(self) -> None:
        """Each asks once, and gets no answer until it is killed."""
        self._tell({"do": "hold", "threads": 1})

    def kill(self) -> None:
        """End all as a crash does."""
        for child in self._started:
            child.kill()
            child.wait()

    def _tell(self, what: dict[str, Any]) -> list[int]:
        for child in self._started:
            assert child.stdin is not None
            child.stdin.write(json.dumps(what) + "\n")
            child.stdin.flush()
        return [int(_told(child)) for child in self._started]


def _told(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()


# --- what a child does ---------------------------------------------------------------------


def main() -> None:
    """Do what each line says."""
    store.PATIENCE = _PATIENCE
    print("ready", flush=True)
    for line in sys.stdin:
        print(_do(json.loads(line)), flush=True)


def _do(what: dict[str, Any]) -> int:
    passed: list[int] = []
    if what["do"] == "hold":
        begun = threading.Event()
        threading.Thread(target=_hold, args=(begun,), daemon=True).start()
        begun.wait(_PATIENCE)
        return 1
    act = _once if what["do"] == "once" else _often
    threads = [threading.Thread(target=act, args=(what, passed)) for _ in range(what["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(passed)


def _hold(begun: threading.Event) -> None:
    from integrations.resilience.stack import GATE

    def ask(call: Call) -> None:
        begun.set()
        time.sleep(_PATIENCE)

    GATE(_call(), ask)


def _once(what: dict[str, Any], passed: list[int]) -> None:
    from integrations.resilience.stack import GATE

    redis: Redis = Redis.from_url(settings.REDIS_URL)
    asked, tried = store.name("test:asked"), store.name("test:tried")

    def ask(call: Call) -> None:
        passed.append(1)
        _until(redis, tried, what["refused"])

    redis.incr(asked)
    _until(redis, asked, what["refused"] + 1)  # so that the processes begin together
    try:
        GATE(_call(), ask)
    except NotAsked:
        redis.incr(tried)


def _often(what: dict[str, Any], passed: list[int]) -> None:
    from integrations.resilience.stack import GATE

    end = time.monotonic() + what["seconds"]
    while time.monotonic() < end:
        try:
            GATE(_call(), lambda call: passed.append(1))
        except NotAsked:
            time.sleep(0.002)


def _until(redis: Redis, key: str, count: int) -> None:
    end = time.monotonic() + _PATIENCE
    while int(redis.get(key) or 0) < count and time.monotonic() < end:
        time.sleep(0.001)


def _call() -> Call:
    return Call.within(_PATIENCE, "payments", "capture")


if __name__ == "__main__":
    main()

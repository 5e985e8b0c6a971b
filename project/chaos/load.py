"""Load: starts over HTTP until each is accepted, doubles, cancels, and starts that roll back.

It goes on beyond the number that is asked for until ``enough`` is called: a fault that strikes when
nothing runs shows nothing.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from project.chaos.fate import Fate
from project.chaos.http import tried
from project.chaos.world import ChaosWorld

_AT_ONCE = 4  # runs that are under way, for each of a worker's processes
_STARTERS = 16
_OPERATORS = 10  # who press the same button at once
_CROWDED = 30.0  # seconds after which a run is started though none has come to rest
_PATIENCE = 300.0  # seconds until a start that is never answered counts as an error


@dataclass(slots=True)
class Accepted:
    """What was answered.

    Attributes:
        runs: by business key, the run's id.
        waits: seconds until each start was answered, retries included.
        rolled_back: business keys whose transaction did not commit.
        cancels: how many cancels were accepted.
        refused: how many cancels were refused.
        disagreements: business keys for which two answers named two runs.
    """

    runs: dict[str, str] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    rolled_back: list[str] = field(default_factory=list)
    cancels: int = 0
    refused: int = 0
    errors: int = 0
    disagreements: list[str] = field(default_factory=list)


class Load:
    """Starts at least `runs` runs of `sagas` in turn."""

    def __init__(
        self, world: ChaosWorld, runs: int, sagas: list[str], payload: dict[str, Any]
    ) -> None:
        self._world = world
        self._runs = runs
        self._sagas = sagas
        self._payload = payload
        self._fate = Fate(world.plan.seed)
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_AT_ONCE * world.plan.processes)
        self._later = ThreadPoolExecutor(_OPERATORS * 2)
        self._stopped = threading.Event()
        self._enough = threading.Event()
        self.started = 0
        self.accepted = Accepted()

    def run(self) -> None:
        """Start them all; return when each was answered and every operator has acted."""
        with ThreadPoolExecutor(_STARTERS) as threads:
            for number in count():
                self._room.acquire(timeout=_CROWDED)
                if self._stopped.is_set() or (number >= self._runs and self._enough.is_set()):
                    break
                threads.submit(self._one, number)
                self.started = number + 1
        self._later.shutdown(wait=True)

    def enough(self) -> None:
        """Start no more than were asked for."""
        self._enough.set()
        self._room.release()

    def stop(self) -> None:
        """Start no more, and give up what is not answered."""
        self._stopped.set()
        self._room.release(self._runs)

    def finished(self) -> None:
        """Another run has come to rest: there is room for one more."""
        self._room.release()

    def _one(self, number: int) -> None:
        business = f"chaos:{self._world.plan.seed}:{number}"
        saga = self._sagas[number % len(self._sagas)]
        try:
            if self._fate.rolled_back(business):
                self._roll_back(saga, f"{business}:rolled-back")
            if self._fate.doubled(business):
                double = threading.Thread(target=self._start, args=(saga, business))
                double.start()
                self._start(saga, business)
                double.join()
            else:
                self._start(saga, business)
            if self._fate.cancelled(business):
                self._later.submit(self._cancel, business)
        except Exception:
            with self._lock:
                self.accepted.errors += 1

    def _start(self, saga: str, business: str) -> None:
        began = time.monotonic()
        address = f"{self._world.address}/api/sagas/{saga}/runs"
        headers = self._headers() | {"Idempotency-Key": business}
        while time.monotonic() - began < _PATIENCE and not self._stopped.is_set():
            answer = tried("POST", address, headers, self._payload)
            if answer is not None and answer.status_code == 202:
                self._accept(business, answer.json()["id"], time.monotonic() - began)
                return
            if answer is not None and answer.status_code in (400, 401, 403, 404, 409, 422):
                raise RuntimeError(f"start refused: {answer.status_code} {answer.text[:300]}")
            time.sleep(0.3)
        raise TimeoutError(business)

    def _accept(self, business: str, run_id: str, wait: float) -> None:
        with self._lock:
            known = self.accepted.runs.setdefault(business, run_id)
            if known != run_id:
                self.accepted.disagreements.append(business)
            self.accepted.waits.append(wait)

    def _cancel(self, business: str) -> None:
        """Ten operators cancel a run at the same moment."""
        time.sleep(self._fate.seconds(business, 0) * 3)
        run_id = self.accepted.runs[business]
        address = f"{self._world.address}/api/runs/{run_id}/cancel"
        with ThreadPoolExecutor(_OPERATORS) as operators:
            asked = [
                operators.submit(tried, "POST", address, self._headers(), None)
                for _ in range(_OPERATORS)
            ]
        answers = [answer for future in asked if (answer := future.result()) is not None]
        with self._lock:
            self.accepted.cancels += any(answer.status_code == 202 for answer in answers)
            self.accepted.refused += sum(answer.status_code == 409 for answer in answers)

    def _roll_back(self, saga: str, business: str) -> None:
        """A caller starts a run in a transaction that does not commit, in the web process."""
        address = f"{self._world.address}/chaos/roll-back"
        asked = {"saga": saga, "key": business, "payload": self._payload}
        answer = tried("POST", address, self._headers(), asked)
        if answer is not None and answer.status_code == 200:
            with self._lock:
                self.accepted.rolled_back.append(business)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._world.token}"}
